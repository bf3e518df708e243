/** What the ingress says to the outside: a few lines at open, drain and trouble, never one per request. Pino fits it. */

export interface IngressLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const silentLog: IngressLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
