import { isIP } from 'node:net';

const PRIVATE_V4 = /^(?:127\.|10\.|192\.168\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.)/;
const PRIVATE_V6 = /^(?:::1$|f[cd]|fe[89ab])/i;
/** Reserved for use inside (RFC 2606, 6762, 8375, and what Kubernetes and ICANN keep for it). */
const PRIVATE_SUFFIXES = ['.localhost', '.local', '.internal', '.svc', '.home.arpa', '.lan', '.test'];

/** Is this server outside the house? A name with dots is, unless it is known to be inside: an error of this rule must mask too much, never too little. */
export function isExternal(endpoint: string, internalHosts: readonly string[]): boolean {
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (internalHosts.some((known) => (known.startsWith('.') ? host.endsWith(known) : host === known))) return false;
  const family = isIP(host);
  if (family === 4) return !PRIVATE_V4.test(host);
  if (family === 6) return !PRIVATE_V6.test(host);
  if (!host.includes('.')) return false;
  return !PRIVATE_SUFFIXES.some((suffix) => host.endsWith(suffix));
}
