import { PlatformError } from '@openeaap/kernel';
import type { FastifyRequest } from 'fastify';
import type { Caller, PlatformPort } from './port.ts';
import type { Scope } from './scope.ts';
import { hasScope } from './scope.ts';

/** No key that we make is longer; a longer one need not be looked up. */
const KEY_CHARS = 512;

/**
 * Whose request this is, if its key covers `scope`. The one place that lets a request in; it
 * throws for anything but a known key with the scope.
 */
export async function authenticate(port: Pick<PlatformPort, 'authenticate'>, request: FastifyRequest, scope: Scope): Promise<Caller> {
  const key = readKey(request);
  if (key === null) {
    throw new PlatformError('unauthenticated', 'This request has no API key.', { details: { cure: 'Send the header Authorization: Bearer <api key>.' } });
  }
  const caller = key.length > KEY_CHARS ? null : await port.authenticate(key);
  if (caller === null) {
    throw new PlatformError('unauthenticated', 'This API key is not known, or was revoked.', { details: { cure: 'Check the key, or ask an administrator for a new one.' } });
  }
  if (!hasScope(caller, scope)) {
    throw new PlatformError('permission_denied', `This API key lacks the scope ${scope}.`, { details: { scope, cure: `Use a key with the scope ${scope}.` } });
  }
  return caller;
}

function readKey(request: FastifyRequest): string | null {
  const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return bearer;
  const header = request.headers['x-api-key'];
  return typeof header === 'string' && header !== '' ? header : null;
}
