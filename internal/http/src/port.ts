import type {
  Agent,
  AgentConfiguration,
  AgentStatus,
  Approval,
  ApprovalStatus,
  ApprovalVerdict,
  AuditAction,
  Decision,
  JsonObject,
  JsonValue,
  LineageRef,
  Principal,
  Priority,
  Run,
  RunEvent,
  RunStatus,
  Sensitivity,
  Step,
  StepDelta,
  Taint,
  ToolSpec,
} from '@openeaap/kernel';
import type { ModelKeyPort } from './model-key-port.ts';
import type { SchedulePort } from './schedule-port.ts';
import type { Scope } from './scope.ts';

export * from './model-key-port.ts';
export * from './schedule-port.ts';

/**
 * What this room needs of the platform: one function per operation, in kernel types. `http` parses
 * the request, asks `authenticate`, checks the route's scope, calls ONE of these and serialises.
 *
 * What `http` has already done when a function is called:
 * - the key is known and `caller.scopes` has the scope of the route;
 * - the request is typed, within its limits, and holds no text that PostgreSQL cannot store;
 * - a `userId` other than the caller's own was let through only for the scope `act_for_others`.
 *
 * What the implementation must do, because only it can see the things:
 * - **ownership**: a caller for whom `actsForOthers` is false sees and changes only runs whose
 *   principal is itself, with all that hangs on them (steps, events, lineage, feedback, audit,
 *   usage); another's run is `not_found`, never `permission_denied`, so that ids cannot be probed;
 *   approvals are also seen by their approvers;
 * - the tenant: everything is bound to `caller.principal.tenantId`.
 *
 * Every failure is a `PlatformError`; anything else is answered as `internal` and logged.
 */
export interface PlatformPort extends ModelKeyPort, SchedulePort {
  /** Whose key this is, with rights from the directory; null when there is no such key or it is revoked. */
  authenticate(key: string): Promise<Caller | null>;

  /** Accepts a run (R1). Errors: `not_found` (no such agent), `conflict` (not published), `idempotency_mismatch`, `policy_denied`, `quota_exceeded`, `invalid_input` (a start that is over or too far ahead). */
  createRun(caller: Caller, request: CreateRunRequest): Promise<CreatedRun>;
  /** Newest first. */
  listRuns(caller: Caller, filter: RunFilter, page: PageRequest): Promise<Page<RunDetail>>;
  /** Errors: `not_found`. */
  getRun(caller: Caller, runId: string): Promise<RunDetail>;
  /** In order of `no`. Errors: `not_found`. */
  listSteps(caller: Caller, runId: string): Promise<readonly Step[]>;
  /** At most `limit` events with `seq > afterSeq`, in order of `seq`. Errors: `not_found`. */
  listEvents(caller: Caller, runId: string, range: EventRange): Promise<readonly RunEvent[]>;
  /**
   * The events of a run with `seq > afterSeq`: the stored ones, then live ones until the run's final
   * event has been given, or `signal` aborts (the client went away, was too slow, or the server
   * closes): then it ends without throwing. Rejects with `not_found` before anything is sent.
   * Resolves to null when the run has ended and nothing follows `afterSeq`: answered 204, which
   * tells an `EventSource` not to connect again.
   *
   * It is pulled no faster than the client reads, so it must never make the run wait: read stored
   * events again by `seq`, and drop deltas for a reader that lags.
   */
  openEvents(caller: Caller, runId: string, afterSeq: number, signal: AbortSignal): Promise<AsyncIterable<StreamItem> | null>;
  /** Durable (R7). `changed` is false when the run was cancelled already. Errors: `not_found`, `conflict` (ended otherwise). */
  cancelRun(caller: Caller, runId: string, reason: string | null): Promise<{ readonly run: RunDetail; readonly changed: boolean }>;
  /** A new run with the same agent version and input, source `retry:<run id>`. Errors: `not_found`, `conflict` (not ended). */
  retryRun(caller: Caller, runId: string, trace: TraceContext): Promise<Run>;
  /** Errors: `not_found`. */
  listLineage(caller: Caller, runId: string): Promise<readonly LineageItem[]>;
  /** Errors: `not_found`, `conflict` (the run has not ended). */
  giveFeedback(caller: Caller, runId: string, feedback: FeedbackRequest): Promise<FeedbackReceipt>;

  /** Newest first. */
  listApprovals(caller: Caller, filter: ApprovalFilter, page: PageRequest): Promise<Page<Approval>>;
  /** Errors: `not_found`. */
  getApproval(caller: Caller, approvalId: string): Promise<Approval>;
  /**
   * One vote; the approval stays `pending` until enough people have approved.
   * Errors: `not_found`, `permission_denied` (details.approvers: who may), `already_decided` (details
   * `decidedBy`, `decidedAt`, `status`), `hash_mismatch`, `conflict` (expired, the run has ended, or the same person has approved before),
   * `invalid_input` (a verdict that is not for this kind; edited arguments that break the tool's schema).
   */
  decideApproval(caller: Caller, approvalId: string, request: DecideRequest): Promise<Approval>;

  listAgents(caller: Caller, filter: AgentFilter, page: PageRequest): Promise<Page<AgentDetail>>;
  /** Same name, version and configuration as one that exists: that one, `created` false. Errors: `conflict` (other configuration), `invalid_input`. */
  createAgent(caller: Caller, request: CreateAgentRequest): Promise<{ readonly agent: AgentDetail; readonly created: boolean }>;
  /** `agentRef`: see {@link CreateRunRequest}. Errors: `not_found`. */
  getAgent(caller: Caller, agentRef: string): Promise<AgentDetail>;
  /** Makes this version the current one of its name; an older version again is the rollback. Errors: `not_found`, `invalid_input`. */
  publishAgent(caller: Caller, agentRef: string): Promise<AgentDetail>;
  /** Errors: `not_found`, `conflict`. */
  deprecateAgent(caller: Caller, agentRef: string): Promise<AgentDetail>;

  listTools(caller: Caller): Promise<readonly ToolItem[]>;
  listPlugins(caller: Caller): Promise<readonly PluginItem[]>;
  /** Errors: `not_found`. */
  getPlugin(caller: Caller, name: string): Promise<PluginItem>;
  /** In the words of configs/plugins.yaml. Errors: `invalid_input` that names the field, `conflict` (declared elsewhere, too many). */
  declarePlugin(caller: Caller, declaration: JsonObject): Promise<{ readonly plugin: PluginItem; readonly created: boolean }>;
  /** Errors: `not_found`, `conflict` (not declared by the API). */
  removePlugin(caller: Caller, name: string): Promise<void>;
  /** Copies are replaced when their successors are ready. Errors: `not_found`, `conflict` (part of the platform). */
  restartPlugin(caller: Caller, name: string): Promise<PluginItem>;
  /** Tools that were withheld because they had changed are taken as they are now; null: all of them. Errors: `not_found`. */
  acceptPluginTools(caller: Caller, name: string, tools: readonly string[] | null): Promise<PluginItem>;
  listModels(caller: Caller): Promise<readonly ModelItem[]>;

  getPolicies(caller: Caller): Promise<PolicyInfo>;
  /** What the PDP would say; nothing is done or counted. Errors: `not_found` (unknown agent or tool). */
  testPolicy(caller: Caller, request: PolicyTestRequest): Promise<Decision>;
  /** Errors: `policy_invalid`: the old policy stays. */
  reloadPolicies(caller: Caller): Promise<{ readonly version: string; readonly changed: boolean }>;

  /** Newest first. */
  queryAudit(caller: Caller, filter: AuditFilter, page: PageRequest): Promise<Page<AuditEntry>>;
  verifyAudit(caller: Caller): Promise<AuditVerification>;
  /** Oldest first; streamed, pulled as fast as the client reads. Ends when `signal` aborts. */
  exportAudit(caller: Caller, range: TimeRange, signal: AbortSignal): AsyncIterable<AuditEntry>;

  /** An outside event becomes a run. Errors: `not_found` (no such trigger), `invalid_input` (a field that it needs is missing). */
  fireTrigger(caller: Caller, name: string, body: JsonObject, trace: TraceContext): Promise<{ readonly run: Run; readonly deduplicated: boolean }>;

  getUsage(caller: Caller, query: UsageQuery): Promise<readonly UsageRow[]>;

  /** Only what the caller may read; best first. */
  searchKnowledge(caller: Caller, query: string, topK: number): Promise<readonly KnowledgeChunk[]>;
  listDocuments(caller: Caller): Promise<readonly KnowledgeDocument[]>;
  /** Errors: `not_found`, also when the caller may not read it. */
  getChunk(caller: Caller, chunkId: string): Promise<KnowledgeChunk>;
  listPreferencePairs(caller: Caller, page: PageRequest): Promise<Page<PreferencePair>>;

  /** How much `readArchivableRuns` would give. Errors: `invalid_input` (younger than the minimum age), as for the next two. */
  summarizeArchive(caller: Caller, finishedBefore: Date): Promise<ArchiveSummary>;
  /** Lines of old runs of every user of the tenant, oldest first; see the route for their form. Ends early when `signal` aborts. */
  readArchivableRuns(caller: Caller, query: ArchiveQuery, signal: AbortSignal): AsyncGenerator<string>;
  /** Deletes those that are as they were when they were read; audited. */
  deleteArchivedRuns(caller: Caller, request: ArchiveDelete): Promise<{ readonly deleted: readonly string[]; readonly kept: readonly string[] }>;
  /** Looks at the whole installation, whoever owns what is in it. Never rejects for what it finds. */
  diagnose(caller: Caller): Promise<Diagnosis>;
  /** Rejects with `unavailable` when requests should go elsewhere: `details.failed` names what failed (database, heartbeat, draining). Answers within seconds. */
  checkReady(): Promise<void>;
  /** Rejects with `unavailable` only when the process cannot go on and should be ended. Waits for nothing. */
  checkLive(): Promise<void>;
  /** Prometheus text format 0.0.4. */
  renderMetrics(): Promise<string>;
}

/** Who calls: the principal of the key, what the key may do, and which key it was (for the audit). */
export interface Caller {
  readonly principal: Principal;
  readonly scopes: readonly Scope[];
  readonly keyId: string;
}

/** W3C trace context of the request: from its `traceparent`, or made new. */
export interface TraceContext {
  /** 32 lower-case hex characters; becomes the run's `traceId`. */
  readonly traceId: string;
  /** 16 lower-case hex characters: the caller's span; null when the trace begins here. */
  readonly parentSpanId: string | null;
}

/** `cursor` is the implementation's own text (`nextCursor` of the page before); the client sees it as opaque base64url. */
export interface PageRequest {
  readonly limit: number;
  readonly cursor: string | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** null: the last page. Errors: a cursor that the implementation did not make is `invalid_input`, field `cursor`. */
  readonly nextCursor: string | null;
}

/** Half open: from ≤ t < to; null: unbounded. */
export interface TimeRange {
  readonly from: Date | null;
  readonly to: Date | null;
}

export interface EventRange {
  readonly afterSeq: number;
  readonly limit: number;
}

export interface CreateRunRequest {
  /** UUID of a version; or a name: its current published version; or `name@version`. */
  readonly agentRef: string;
  readonly input: string | JsonObject;
  /** Run for this user (rights from the directory); null: for the caller. */
  readonly userId: string | null;
  readonly idempotencyKey: string | null;
  readonly priority: Priority;
  /** null: at once. */
  readonly start: RunStart | null;
  readonly trace: TraceContext;
}

/** When a run begins: at a time, or so long after it was accepted. */
export type RunStart = { readonly kind: 'at'; readonly at: Date } | { readonly kind: 'after'; readonly delayMs: number };

export interface CreatedRun {
  readonly run: Run;
  /** The idempotency key was seen before, with the same request. */
  readonly replayed: boolean;
}

export interface RunDetail {
  readonly run: Run;
  /** Knowledge that its results came from, without repeats. */
  readonly lineage: readonly LineageRef[];
  /** Ids of its pending approvals. */
  readonly pendingApprovals: readonly string[];
}

/** null: any. */
export interface RunFilter {
  readonly status: RunStatus | null;
  /** Id of an agent version. */
  readonly agentId: string | null;
  readonly userId: string | null;
  readonly source: string | null;
}

export type StreamItem = { readonly kind: 'event'; readonly event: RunEvent } | { readonly kind: 'delta'; readonly delta: StepDelta };

export interface LineageItem extends LineageRef {
  readonly stepNo: number;
  /** null: the caller may not read it, or it is gone. */
  readonly content: string | null;
}

export interface FeedbackRequest {
  readonly score: -1 | 1;
  readonly correction: string | null;
  readonly category: string | null;
}

export interface FeedbackReceipt {
  readonly feedbackId: string;
  readonly preferencePairId: string | null;
}

export interface ApprovalFilter {
  readonly status: ApprovalStatus | null;
  readonly runId: string | null;
}

export interface DecideRequest {
  readonly verdict: ApprovalVerdict;
  readonly callHash: string | null;
  /** Set exactly for the verdict `edit`. */
  readonly editedArgs: JsonObject | null;
  /** Always set for `reject`. */
  readonly comment: string | null;
}

export interface AgentDetail {
  readonly agent: Agent;
  /** This version is what the bare name means. */
  readonly current: boolean;
}

export interface AgentFilter {
  readonly name: string | null;
  readonly status: AgentStatus | null;
}

export interface CreateAgentRequest {
  readonly name: string;
  readonly version: string;
  /** Total: the defaults of the kernel are filled in. */
  readonly configuration: AgentConfiguration;
}

export interface ToolItem {
  readonly spec: ToolSpec;
  /** Name of the plugin that serves it. */
  readonly plugin: string;
}

export interface PluginItem {
  readonly name: string;
  readonly version: string;
  readonly kind: 'runtime' | 'tools';
  /** E.g. `ready`, `starting`, `down`. */
  readonly status: string;
  /** For people: why it is in this status. */
  readonly detail: string;
  readonly source: 'built-in' | 'file' | 'api';
  /** Language and version of its SDK; empty for what is in the process. */
  readonly sdk: string;
  readonly copies: { readonly ready: number; readonly wanted: number; readonly restarts: number };
  readonly tools: readonly string[];
  /** Agents that it hosts, by the name that an agent of the platform gives as its entrypoint. */
  readonly agents: readonly string[];
  /** What an operator should look at although the plugin serves. */
  readonly warnings: readonly string[];
}

export interface ModelItem {
  readonly name: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
}

export interface PolicyInfo {
  readonly version: string;
  readonly loadedAt: Date;
  readonly files: readonly { readonly name: string; readonly sha256: string }[];
}

export interface PolicyTestRequest {
  readonly kind: 'think' | 'act';
  /** null: the caller. Groups that are given stand in place of the directory's. */
  readonly userId: string | null;
  readonly groups: readonly string[] | null;
  readonly agent: string | null;
  /** Set when `kind` is `act`. */
  readonly tool: string | null;
  readonly input: JsonValue;
  readonly taint: Taint;
}

export interface AuditFilter {
  readonly runId: string | null;
  readonly actionType: AuditAction | null;
}

/** A row of `audit_logs` as it is stored: masked, chained. */
export interface AuditEntry {
  readonly id: string;
  readonly runId: string | null;
  readonly traceId: string;
  readonly actor: string;
  readonly actionType: string;
  readonly phase: string;
  readonly decision: string | null;
  readonly outcome: string | null;
  readonly rule: string | null;
  readonly stepNo: number | null;
  readonly metadata: JsonValue;
  readonly sanitizedInput: string | null;
  readonly sanitizedOutput: string | null;
  readonly chainId: string;
  readonly chainSeq: number;
  /** Lower-case hex. */
  readonly prevHash: string;
  readonly rowHash: string;
  readonly createdAt: Date;
}

export interface AuditVerification {
  readonly ok: boolean;
  readonly chains: number;
  readonly rows: number;
  readonly problems: readonly AuditProblem[];
}

export interface AuditProblem {
  readonly kind: 'changed' | 'removed' | 'inserted' | 'truncated' | 'forked' | 'bad_signature';
  readonly chainId: string;
  readonly chainSeq: number | null;
  readonly rowId: string | null;
  readonly detail: string;
}

export interface UsageQuery extends TimeRange {
  readonly groupBy: 'agent' | 'user' | 'model' | 'day';
}

export interface UsageRow {
  readonly key: string;
  /** null where a count of runs has no meaning. */
  readonly runs: number | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly costUsdMicros: number;
}

export interface KnowledgeChunk {
  readonly chunkId: string;
  readonly title: string;
  /** Headings above the chunk, outermost first. */
  readonly headingPath: readonly string[];
  readonly content: string;
  readonly source: string;
  /** null when it was not searched for but read by id. */
  readonly score: number | null;
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
}

export interface KnowledgeDocument {
  readonly documentId: string;
  readonly title: string;
  readonly source: string;
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
  readonly chunks: number;
  readonly updatedAt: Date;
}

export interface ArchiveSummary {
  readonly runs: number;
  readonly steps: number;
  readonly oldest: Date | null;
  readonly newest: Date | null;
}

export interface ArchiveQuery {
  readonly finishedBefore: Date;
  /** `next` of the page before. */
  readonly after: string | null;
  readonly limit: number;
  readonly content: 'all' | 'none';
}

export interface ArchiveDelete {
  readonly finishedBefore: Date;
  readonly runs: readonly { readonly id: string; readonly lastSeq: number }[];
  readonly outcome: 'archived' | 'deleted';
}

export interface Diagnosis {
  /** No check is a problem. */
  readonly ok: boolean;
  readonly checks: readonly DiagnosisCheck[];
}

export interface DiagnosisCheck {
  /** Stable, for scripts. */
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'problem';
  /** One line. */
  readonly summary: string;
  /** null exactly when the status is ok. */
  readonly cure: string | null;
}

export interface PreferencePair {
  readonly id: string;
  readonly runId: string;
  readonly prompt: string;
  /** null: only the other one is known; then it is an unpaired example. */
  readonly chosen: string | null;
  readonly rejected: string | null;
  readonly category: string | null;
  readonly createdAt: Date;
}
