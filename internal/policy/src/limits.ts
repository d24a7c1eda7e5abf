/** Limits of a policy; a file beyond one is refused when it is loaded. */
export const POLICY_LIMITS = {
  files: 100,
  fileBytes: 8_388_608,
  /** Entries of one section over all files. */
  entriesPerSection: 50_000,
  aliasesPerFile: 100,
  /** Most people that one call may need. */
  minApprovals: 20,
  escalationStages: 5,
  /** Problems reported at once. */
  problems: 20,
  nameChars: 128,
  reasonChars: 500,
  globChars: 200,
  conditionChars: 4_096,
  conditionDepth: 64,
  conditionListItems: 1_000,
  /** A longer text is an error value for `matches`. */
  matchChars: 65_536,
  /** Tools whose rules a compiled policy remembers. */
  memoTools: 1_024,
  /** Elements of a list that a scope looks at; a longer list is a violation. */
  scopeItems: 1_000,
  /** Older versions that a holder keeps for the runs that are pinned to them. */
  versionsKept: 16,
} as const;
