import type { Access } from '../access.ts';
import type { VllmConfig } from '../config/gateway-config.ts';

/**
 * With whom a prompt may share the prefix cache of a server: equal lists share, others do not. Empty:
 * with everybody. To be written down as JSON, which keeps "a","bc" and "ab","c" apart.
 */
export function cacheOwnerOf({ tenantId, keyId = '', userId }: Access, sharing: VllmConfig['cacheSharing']): readonly string[] {
  if (sharing === 'all') return [];
  if (sharing === 'tenant') return [tenantId];
  // A step's credential is no key; its runs share with those of the same person.
  return keyId === '' ? [tenantId, 'user', userId] : [tenantId, 'key', keyId];
}
