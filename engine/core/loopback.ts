/** Of this machine alone: `localhost`, 127.0.0.0/8 or ::1, as a host is written in settings. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

/** The same of a URL's hostname, which has an IPv6 address in brackets. */
export const isLoopbackUrl = ({ hostname }: Pick<URL, 'hostname'>): boolean => isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'));
