/** Sensitivity of knowledge: 1 Public, 2 Internal, 3 Confidential (document section 15.2). */
export type Sensitivity = 1 | 2 | 3;

/**
 * On whose behalf something is done. Rights come from the directory, never from a request body.
 */
export interface Principal {
  readonly tenantId: string;
  readonly userId: string;
  /** Bare group names, e.g. `security-ops`; policies write them as `group:security-ops`. */
  readonly groups: readonly string[];
  /** The most sensitive knowledge that this user may read. */
  readonly clearance: Sensitivity;
}

/** Does `principal` match one of `names`, each `group:NAME`, `user:ID` or `*`? */
export function matchesSubject(principal: Pick<Principal, 'userId' | 'groups'>, names: readonly string[]): boolean {
  return names.some(
    (name) =>
      name === '*' ||
      (name.startsWith('group:') && principal.groups.includes(name.slice('group:'.length))) ||
      (name.startsWith('user:') && principal.userId === name.slice('user:'.length)),
  );
}

/** All names that mean this principal: `matchesSubject` for whoever can only compare texts. */
export function subjectsOf(principal: Pick<Principal, 'userId' | 'groups'>): readonly string[] {
  return ['*', `user:${principal.userId}`, ...principal.groups.map((group) => `group:${group}`)];
}
