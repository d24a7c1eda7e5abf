import type {
  Agent,
  Approval,
  ApprovalDemand,
  AuditFact,
  ClaimedRun,
  CommitResult,
  CountedVote,
  Decision,
  DecisionRequest,
  ErrorCode,
  FireOutcome,
  JsonValue,
  NewRun,
  NewRunEvent,
  Principal,
  QuotaReservation,
  Run,
  RunCommit,
  RunSignals,
  Sensitivity,
  Step,
  StepDelta,
  TokenUsage,
  ToolSpec,
} from '@openeaap/kernel';
import type { RuntimeAdapter, ToolInvocation, ToolOutcome } from '@openeaap/adapter';

/** What the orchestrator needs of the store. */
export interface RunStore {
  readonly acceptRun: (run: NewRun) => Promise<
    { readonly kind: 'accepted' } | { readonly kind: 'replayed'; readonly runId: string } | { readonly kind: 'mismatch'; readonly runId: string | null }
  >;
  readonly findRunByKey: (tenantId: string, idempotencyKey: string) => Promise<{ readonly runId: string; readonly requestHash: string; readonly userId: string } | null>;
  readonly getRun: (tenantId: string, runId: string) => Promise<Run | null>;
  readonly findAgent: (tenantId: string, reference: AgentReference) => Promise<Agent | null>;
  /** Runs that are due, in the order of their turn. `nextDueMs`: until the next one is; 0: there may be more now; null: nobody knows of one. */
  readonly claimDue: (claim: { readonly nodeId: string; readonly limit: number }) => Promise<{ readonly runs: readonly ClaimedRun[]; readonly nextDueMs: number | null }>;
  /** Runs of dead nodes, and runs of this very node that it does not have in hand: it let go of them, or the answer to an earlier claim was lost. */
  readonly claimOrphans: (claim: { readonly nodeId: string; readonly limit: number; readonly deadAfterMs: number; readonly inHand: readonly string[] }) => Promise<readonly ClaimedRun[]>;
  readonly readSteps: (tenantId: string, runId: string) => Promise<readonly Step[]>;
  /** The journal without what only a think needs: results and proposals from before the newest think are null. */
  readonly readOutline: (tenantId: string, runId: string) => Promise<readonly Step[]>;
  readonly readSignals: (tenantId: string, runId: string) => Promise<RunSignals>;
  readonly commitRun: (commit: RunCommit) => Promise<CommitResult>;
  readonly reserveQuota: (tenantId: string, wanted: readonly QuotaReservation[]) => Promise<
    { readonly kind: 'granted' } | { readonly kind: 'exceeded'; readonly quota: string; readonly used: number; readonly limit: number }
  >;
  readonly getApproval: (tenantId: string, approvalId: string) => Promise<Approval | null>;
  /** Compare-and-set of one vote; null: nothing was written. */
  readonly decideApproval: (vote: CountedVote, record: { readonly event: NewRunEvent; readonly audit: readonly AuditFact[] }) => Promise<Approval | null>;
  /** Once per stage (1 is the first); null: it was written before, is not due, or there is nothing left to decide. */
  readonly escalateApproval: (
    mark: { readonly tenantId: string; readonly approvalId: string; readonly stage: number },
    record: { readonly event: NewRunEvent; readonly audit: readonly AuditFact[] },
  ) => Promise<true | null>;
  /** Approvals of the runs that the node drives right now whose next escalation is due and not written. */
  readonly listDueEscalations: (nodeId: string) => Promise<readonly { readonly traceId: string; readonly approval: Approval }[]>;
  readonly requestCancel: (request: { readonly tenantId: string; readonly runId: string; readonly by: string; readonly reason: string | null }) => Promise<boolean>;
  readonly listCancelledRuns: (nodeId: string) => Promise<readonly string[]>;
  readonly registerNode: (node: { readonly id: string; readonly host: string; readonly pid: number; readonly version: string; readonly roles: readonly string[] }) => Promise<void>;
  readonly beatNode: (nodeId: string) => Promise<boolean>;
  readonly stopNode: (nodeId: string) => Promise<void>;
}

export interface AgentReference {
  readonly id?: string;
  readonly name?: string;
  readonly version?: string;
}

/** The PDP. `decide` is total: it answers whatever it is asked. */
export interface PolicyPort {
  readonly currentVersion: () => string;
  /** null: this version is nowhere to be found, and what is asked of it is denied. */
  readonly load: (tenantId: string, version: string) => Promise<PinnedPolicy | null>;
}

export interface PinnedPolicy {
  readonly version: string;
  readonly decide: (request: DecisionRequest) => Decision;
  /** Who says what became of a call without a gate whose outcome nobody knows; null: whoever may decide approvals. */
  readonly uncertainOutcome: ApprovalDemand | null;
  /** Could this principal ever call the tool? What it never could is not even shown to the model. */
  readonly mayUse: (principal: Principal, agent: { readonly name: string }, tool: string) => boolean;
}

/** Tools of every plugin, behind one door. */
export interface ToolPort {
  readonly find: (name: string) => ToolSpec | null;
  /** null: valid. Otherwise what is wrong, for the model to read. */
  readonly validate: (tool: string, args: JsonValue) => string | null;
  /** `credentials` are those of the step; a tool gets what its spec names. Errors: PlatformError, with `details.sent` false when the tool never saw the call. The output is within the limits. */
  readonly call: (invocation: ToolInvocation, context: { readonly signal: AbortSignal; readonly principal: Principal; readonly traceContext: Readonly<Record<string, string>> }, credentials?: Readonly<Record<string, string>>) => Promise<ToolOutcome>;
}

export interface RuntimePort {
  readonly find: (name: string) => RuntimeAdapter | null;
}

/** What the gateway itself saw of a step's model calls; whatever a runtime claims is not believed. */
export interface MeterPort {
  readonly take: (stepId: string) => { readonly usage: TokenUsage; readonly backend: string; readonly calls: number } | null;
  /** Credentials for the model that are good for this step alone. */
  readonly credentials: (step: StepIdentity) => Readonly<Record<string, string>>;
  readonly revoke: (stepId: string) => void;
}

export interface StepIdentity {
  readonly tenantId: string;
  readonly runId: string;
  readonly stepId: string;
  /** null: a think. */
  readonly tool: string | null;
  readonly agentId: string;
  readonly userId: string;
  readonly traceId: string;
  /** Most completion tokens; 0: no limit. */
  readonly maxTokens: number;
  readonly timeoutMs: number;
  /** Of the most secret knowledge that the run has read before this step. */
  readonly sensitivity: Sensitivity;
  /** Names that may be asked for; null: all. */
  readonly models: readonly string[] | null;
}

export interface TextPort {
  /** Applies the policy's PII rules: what is stored has been through it. */
  readonly mask: (value: JsonValue) => JsonValue;
  readonly looksLikeInjection: (text: string) => boolean;
}

/** For whoever watches this node: live events and deltas. Both must return at once. */
export interface WatchPort {
  readonly committed: (runId: string, lastSeq: number, ended: boolean) => void;
  readonly delta: (delta: StepDelta) => void;
}

/** For metrics. */
export type Observation =
  | { readonly kind: 'run_ended'; readonly agentId: string; readonly status: string; readonly seconds: number }
  | { readonly kind: 'tokens'; readonly agentId: string; readonly model: string; readonly tokens: number }
  | { readonly kind: 'blocked'; readonly rule: string; readonly userGroup: string }
  | { readonly kind: 'think'; readonly seconds: number; readonly outcome: 'ok' | ErrorCode }
  | { readonly kind: 'tool'; readonly tool: string; readonly seconds: number; readonly outcome: 'ok' | ErrorCode }
  /** `alarming`: the schedule has failed several times in a row. */
  | { readonly kind: 'schedule_fire'; readonly outcome: FireOutcome; readonly alarming: boolean };

export interface Log {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}
