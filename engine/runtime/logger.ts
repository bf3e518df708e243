/** The only door to pino: JSON lines on stdout, one logger per process; threads send their facts to the main thread instead. */

import { pino, destination } from 'pino';

export interface Logger {
  info(facts: object, text: string): void;
  warn(facts: object, text: string): void;
  error(facts: object, text: string): void;
  debug(facts: object, text: string): void;
}

/** Synchronous output: the last line before an exit is the one that matters. */
export const createLogger = (level: string): Logger => pino({ level, base: { name: 'millrace', pid: process.pid }, timestamp: () => `,"time":"${new Date().toISOString()}"` }, destination({ dest: 1, sync: true }));
