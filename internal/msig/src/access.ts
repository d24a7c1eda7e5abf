import type { Sensitivity } from '@openeaap/kernel';

/** For whom the tokens are spent. */
export interface Attribution {
  readonly tenantId: string;
  readonly runId: string;
  readonly stepId: string;
  /** The tool whose call this step is; null or not set: a think. */
  readonly tool?: string | null;
  readonly agentId: string;
  readonly userId: string;
  readonly traceId: string;
}

/**
 * Who asks, what they may use, and how secret what they say is. Empty texts stand for "none": a
 * person with a key of their own has no run, a step has no key.
 */
export interface Access extends Attribution {
  /** Id of the virtual key; empty: the credential of a step. */
  readonly keyId?: string;
  /** Names that may be asked for: backends, models, capabilities; null or not set: all. */
  readonly models?: readonly string[] | null;
  /** Of the most secret thing in the request. Not set: 1 (Public). What is Confidential (3) never goes to an external backend. */
  readonly sensitivity?: Sensitivity;
  /** Access labels of what the request was made from: equal questions under other labels are other questions to the caches. */
  readonly labels?: readonly string[];
  /** Lower is sooner, as vLLM has it; not set: 0. */
  readonly priority?: number;
}
