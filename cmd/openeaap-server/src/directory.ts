import type { Principal } from '@openeaap/kernel';
import { PlatformError, isJsonObject } from '@openeaap/kernel';

/**
 * `configs/directory.yaml`: who belongs to which groups and may read how much, for installations
 * without an identity provider.
 *
 *     users:
 *       - id: "alice"
 *         groups: ["security-ops"]
 *         clearance: 2        # 1 Public, 2 Internal, 3 Confidential
 */
export function parseDirectory(document: unknown, file: string, tenantId: string): readonly Principal[] {
  if (document === null || document === undefined) return [];
  const wrong = (what: string): PlatformError => new PlatformError('invalid_input', `${file}: ${what}`, { details: { file } });
  if (!isJsonObject(document) || !Array.isArray(document['users'])) throw wrong('there must be a list "users".');
  return (document['users'] as readonly unknown[]).map((user, index) => {
    const at = `users[${index}]`;
    if (!isJsonObject(user)) throw wrong(`${at} must be a mapping with id, groups and clearance.`);
    const { id, groups = [], clearance = 1, ...rest } = user;
    const unknown = Object.keys(rest)[0];
    if (unknown !== undefined) throw wrong(`${at} has an unknown key "${unknown}"; it takes id, groups and clearance.`);
    if (typeof id !== 'string' || id === '') throw wrong(`${at}.id must be a text.`);
    if (!Array.isArray(groups) || !groups.every((group) => typeof group === 'string')) throw wrong(`${at}.groups must be a list of names without "group:".`);
    if (clearance !== 1 && clearance !== 2 && clearance !== 3) throw wrong(`${at}.clearance must be 1 (Public), 2 (Internal) or 3 (Confidential).`);
    return { tenantId, userId: id, groups, clearance };
  });
}
