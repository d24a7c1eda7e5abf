import type { Static, TSchema } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { JsonValue } from '@openeaap/kernel';
import { CATCH_UPS, ERROR_CODES, MODEL_LIMIT_FIELDS, OVERLAPS, PRIORITIES, RUN_EVENT_TYPES, RUN_STATUSES } from '@openeaap/kernel';

/**
 * What the API answers, in snake_case: one schema is the type of the mapper in `to-view.ts` and the
 * component in OpenAPI. Answers may gain fields; clients must ignore those that they do not know.
 */
const Json = (description: string) => Type.Unsafe<JsonValue>({ description });
const Nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds.' });
const Uuid = Type.String({ format: 'uuid' });
const StartAt = Type.Union([Time, Type.Null()], { description: 'It begins no earlier; null: it was due at once.' });
const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });

/** A named component in the OpenAPI document. */
export function refTo<S extends TSchema & { readonly $id: string }>(schema: S) {
  return Type.Unsafe<Static<S>>({ $ref: `${schema.$id}#` });
}

/** `{items, next_cursor}`. */
export const pageOf = <S extends TSchema & { readonly $id: string }>(schema: S) =>
  Type.Object({ items: Type.Array(refTo(schema)), next_cursor: Type.Union([Text, Type.Null()], { description: 'null: the last page.' }) });

export const itemsOf = <S extends TSchema & { readonly $id: string }>(schema: S) => Type.Object({ items: Type.Array(refTo(schema)) });

const component = <const Id extends string, S extends TSchema>($id: Id, schema: S): S & { readonly $id: Id } => ({ ...schema, $id });

export const Problem = component(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'urn:openeaap:error:<code>' }),
      title: Text,
      status: Type.Integer(),
      code: Type.Enum(Object.keys(ERROR_CODES)),
      detail: Type.String({ description: 'What is wrong, safe to show to a user.' }),
      instance: Type.String({ description: 'Path of the request.' }),
      trace_id: Text,
      field: Type.Optional(Type.String({ description: 'Path of the field that is wrong.' })),
      cure: Type.Optional(Type.String({ description: 'What to do about it.' })),
    },
    { description: 'An error (RFC 9457). More members may follow, by code.' },
  ),
);

export const DiagnosisView = component(
  'Diagnosis',
  Type.Object({
    ok: Type.Boolean({ description: 'No check is a problem.' }),
    checks: Type.Array(
      Type.Object({
        name: Type.String({ description: 'Stable, for scripts.' }),
        status: Type.Unsafe<'ok' | 'warning' | 'problem'>({ enum: ['ok', 'warning', 'problem'] }),
        summary: Type.String({ description: 'One line.' }),
        cure: Type.Union([Text, Type.Null()], { description: 'What to do about it; null when all is well.' }),
      }),
    ),
  }),
);

export const UsageView = component('Usage', Type.Object({ prompt_tokens: Count, completion_tokens: Count, cost_usd: Type.Number() }));

export const LineageView = component('Lineage', Type.Object({ chunk_id: Text, title: Text, source: Text, score: Type.Number() }));

export const LineageItemView = component(
  'LineageItem',
  Type.Object({
    step_no: Type.Integer(),
    chunk_id: Text,
    title: Text,
    source: Text,
    score: Type.Number(),
    content: Type.Union([Text, Type.Null()], { description: 'null: the caller may not read it.' }),
  }),
);

export const RunCreatedView = component(
  'RunCreated',
  Type.Object({
    run_id: Uuid,
    status: Type.Enum([...RUN_STATUSES]),
    trace_id: Text,
    agent_id: Uuid,
    agent_version: Text,
    start_at: StartAt,
    created_at: Time,
    replayed: Type.Boolean({ description: 'The idempotency key was seen before with the same request; this is that run.' }),
  }),
);

export const RunView = component(
  'Run',
  Type.Object({
    run_id: Uuid,
    agent_id: Uuid,
    agent_name: Text,
    agent_version: Text,
    policy_version: Text,
    user_id: Text,
    trace_id: Text,
    status: Type.Enum([...RUN_STATUSES]),
    priority: Type.Enum([...PRIORITIES]),
    pause_reason: Nullable(Type.Enum(['approval', 'uncertain_outcome'])),
    input: Json('As it was sent.'),
    output: Json('The conclusion; null until completed.'),
    error: Nullable(Type.Object({ code: Text, message: Text, fallback_text: Type.Optional(Text) })),
    source: Type.String({ description: 'E.g. api, trigger:siem, retry:<run id>.' }),
    step_count: Count,
    last_seq: Type.Integer({ minimum: 0, description: 'Number of the newest event.' }),
    usage: refTo(UsageView),
    lineage: Type.Array(refTo(LineageView)),
    pending_approvals: Type.Array(Uuid),
    start_at: StartAt,
    cancel_requested_at: Nullable(Time),
    created_at: Time,
    started_at: Nullable(Time),
    finished_at: Nullable(Time),
  }),
);

export const ScheduleView = component(
  'Schedule',
  Type.Object({
    schedule_id: Uuid,
    name: Text,
    cron: Text,
    time_zone: Type.String({ description: 'IANA name.' }),
    agent: Type.String({ description: 'A name: the version that is current at each fire; or name@version.' }),
    input: Json('Of each run; masked.'),
    user_id: Type.String({ description: 'The runs are this user’s, with the rights of the time of the fire.' }),
    priority: Type.Enum([...PRIORITIES]),
    overlap: Type.Enum([...OVERLAPS]),
    catch_up: Type.Enum([...CATCH_UPS]),
    paused: Type.Boolean(),
    next_at: Nullable(Time),
    next_fires: Type.Array(Type.String({ format: 'date-time' }), { description: 'The next fires with the offset of the time zone: five, in a list one, none while it is paused.' }),
    last_at: Nullable(Time),
    last_outcome: Nullable(Type.Enum(['started', 'skipped', 'failed', 'missed'])),
    last_run_id: Nullable(Uuid),
    last_run_status: Nullable(Type.Enum([...RUN_STATUSES])),
    last_error: Type.Union([Type.Object({ code: Text, message: Text }), Type.Null()], { description: 'Why the newest fire started nothing, or why its run failed.' }),
    failures_in_a_row: Count,
    created_by: Text,
    created_at: Time,
    updated_at: Time,
  }),
);

const Constraints = Type.Object({ blocked_tools: Type.Array(Text), dry_run: Type.Boolean(), max_tokens: Count });
const Demand = Type.Object({
  approvers: Type.Array(Text),
  timeout_ms: Count,
  forbid_requester: Type.Boolean(),
  min_approvals: Count,
  escalation: Type.Array(Type.Object({ after_ms: Count, approvers: Type.Array(Text) })),
});

export const DecisionView = component(
  'Decision',
  Type.Object({
    effect: Type.Enum(['allow', 'deny', 'require_approval']),
    rule: Text,
    reason: Text,
    policy_version: Text,
    approval: Type.Optional(Demand),
    constraints: Type.Optional(Constraints),
  }),
);

const StepFault = Nullable(Type.Object({ code: Text, message: Text }));

export const ThinkStepView = component(
  'ThinkStep',
  Type.Object({
    no: Type.Integer(),
    kind: Type.Literal('think'),
    status: Type.Enum(['done', 'failed']),
    thought: Nullable(Text),
    calls: Type.Array(Type.Object({ id: Text, tool: Text, args: Json('Proposed arguments.'), malformed: Type.Optional(Text) })),
    output: Json('Set when this think ended the run.'),
    usage: refTo(UsageView),
    model: Text,
    decision: refTo(DecisionView),
    error: StepFault,
    reported_by_runtime: Type.Array(Json('A claim of the runtime, not proof.')),
    policy_version: Text,
    agent_version: Text,
    started_at: Time,
    finished_at: Nullable(Time),
  }),
);

export const ActStepView = component(
  'ActStep',
  Type.Object({
    no: Type.Integer(),
    kind: Type.Literal('act'),
    think_no: Type.Integer(),
    call_id: Text,
    tool: Text,
    args: Json('What is run: the proposed arguments, or those of an approver.'),
    status: Type.Enum(['invalid', 'denied', 'waiting_approval', 'intended', 'started', 'waiting_resolution', 'done', 'failed', 'rejected', 'expired', 'dry_run']),
    decision: Nullable(refTo(DecisionView)),
    approval_id: Nullable(Uuid),
    result: Json('null until done.'),
    suspicious: Type.Boolean({ description: 'The result looked like an attempt to give the agent instructions.' }),
    error: StepFault,
    attempts: Count,
    lineage: Type.Array(refTo(LineageView)),
    policy_version: Text,
    agent_version: Text,
    started_at: Time,
    finished_at: Nullable(Time),
  }),
);

export const StepView = component('Step', Type.Union([refTo(ThinkStepView), refTo(ActStepView)]));

export const EventView = component(
  'RunEvent',
  Type.Object({ seq: Type.Integer({ minimum: 1 }), type: Type.Enum([...RUN_EVENT_TYPES]), data: Json('Public JSON of the event.'), at: Time }),
);

const Verdict = Type.Enum(['approve', 'edit', 'reject', 'retry', 'mark_done', 'fail']);

export const VoteView = component(
  'ApprovalVote',
  Type.Object({
    voter: Text,
    verdict: Verdict,
    call_hash: Type.String({ description: 'The call that the vote is about; of an edit, the edited one.' }),
    counts: Type.Boolean({ description: 'false: a later edit made it a vote about another call.' }),
    comment: Nullable(Text),
    at: Time,
  }),
);

export const ApprovalView = component(
  'Approval',
  Type.Object({
    approval_id: Uuid,
    run_id: Uuid,
    step_no: Type.Integer(),
    kind: Type.Enum(['gate', 'uncertain']),
    tool: Text,
    args: Json('Arguments of the call that waits.'),
    edited_args: Json('What the last edit changed them to, or null. While others must still approve, it is the edited call that waits.'),
    call_hash: Type.String({ description: 'SHA-256 of the call that waits, as the last edit left it; send it with the decision to be sure that it is about this call.' }),
    rule: Text,
    reason: Text,
    approvers: Type.Array(Text, { description: 'group:NAME or user:ID.' }),
    approvers_now: Type.Array(Text, { description: 'Who may decide now: the approvers, and those of each escalation whose time has come.' }),
    forbid_requester: Type.Boolean(),
    min_approvals: Type.Integer({ minimum: 1, description: 'How many different people must approve. One rejection rejects.' }),
    approvals_given: Type.Integer({ minimum: 0, description: 'How many have approved the call that waits.' }),
    votes: Type.Array(refTo(VoteView), { description: 'Oldest first.' }),
    escalation: Type.Array(Type.Object({ at: Time, approvers: Type.Array(Text), escalated: Type.Boolean({ description: 'Its event is written.' }) }), { description: 'Who may decide as well, and from when on.' }),
    requester: Text,
    policy_version: Text,
    status: Type.Enum(['pending', 'approved', 'rejected', 'expired', 'cancelled']),
    verdict: Nullable(Verdict),
    decided_by: Nullable(Text),
    decided_at: Nullable(Time),
    comment: Nullable(Text),
    created_at: Time,
    expires_at: Time,
    allowed_verdicts: Type.Array(Verdict),
  }),
);

export const AgentView = component(
  'Agent',
  Type.Object({
    agent_id: Uuid,
    name: Text,
    version: Text,
    status: Type.Enum(['draft', 'published', 'deprecated']),
    configuration: Type.Object({
      description: Text,
      runtime: Text,
      entrypoint: Text,
      settings: Json('For the hosted agent.'),
      reasoning: Text,
      system_prompt: Text,
      tools: Type.Array(Text),
      model: Type.Object({ name: Text, temperature: Type.Number(), max_tokens: Type.Integer(), tool_calling: Type.Enum(['native', 'text']), allowed: Type.Optional(Type.Array(Text)) }),
      max_steps: Type.Integer(),
      think_timeout_ms: Type.Integer(),
      dry_run: Type.Boolean(),
      fallback_text: Text,
    }),
    created_at: Time,
    updated_at: Time,
    current: Type.Boolean({ description: 'What the bare name means.' }),
  }),
);

export const ToolView = component(
  'Tool',
  Type.Object({
    name: Text,
    version: Text,
    plugin: Text,
    description: Text,
    input_schema: Json('JSON Schema 2020-12 of the arguments.'),
    effect: Type.Enum(['read', 'write', 'egress', 'destructive']),
    idempotent: Type.Boolean(),
    timeout_ms: Count,
    untrusted_output: Type.Boolean(),
  }),
);

export const PluginView = component(
  'Plugin',
  Type.Object({
    name: Text,
    version: Type.String({ description: 'Of the plugin itself; empty until it has answered once.' }),
    kind: Type.Enum(['runtime', 'tools']),
    status: Type.String({ description: 'ready, degraded, starting, sick, incompatible, refused, conflict or down.' }),
    detail: Type.String({ description: 'Why, and the cure.' }),
    source: Type.Enum(['built-in', 'file', 'api']),
    sdk: Text,
    copies: Type.Object({ ready: Count, wanted: Count, restarts: Count }, { description: 'On the node that answers.' }),
    tools: Type.Array(Text),
    agents: Type.Array(Text, { description: 'Entrypoints that an agent of the platform may name.' }),
    warnings: Type.Array(Text),
  }),
);

export const ModelView = component('Model', Type.Object({ name: Text, type: Text, labels: Type.Record(Type.String(), Text), capabilities: Type.Array(Text) }));

export const PolicyView = component(
  'Policy',
  Type.Object({ version: Text, loaded_at: Time, files: Type.Array(Type.Object({ name: Text, sha256: Text })) }),
);

export const AuditView = component(
  'AuditRow',
  Type.Object({
    id: Text,
    run_id: Nullable(Uuid),
    trace_id: Text,
    actor: Text,
    action_type: Text,
    phase: Text,
    decision: Nullable(Text),
    outcome: Nullable(Text),
    rule: Nullable(Text),
    step_no: Nullable(Type.Integer()),
    metadata: Json('Masked.'),
    sanitized_input: Nullable(Text),
    sanitized_output: Nullable(Text),
    chain_id: Text,
    chain_seq: Type.Integer(),
    prev_hash: Text,
    row_hash: Text,
    created_at: Time,
  }),
);

export const AuditVerificationView = component(
  'AuditVerification',
  Type.Object({
    ok: Type.Boolean(),
    chains: Count,
    rows: Count,
    problems: Type.Array(
      Type.Object({
        kind: Type.Enum(['changed', 'removed', 'inserted', 'truncated', 'forked', 'bad_signature']),
        chain_id: Text,
        chain_seq: Nullable(Type.Integer()),
        row_id: Nullable(Text),
        detail: Text,
      }),
    ),
  }),
);

export const UsageRowView = component(
  'UsageRow',
  Type.Object({ key: Text, runs: Type.Optional(Count), prompt_tokens: Count, completion_tokens: Count, cost_usd: Type.Number() }),
);

const ModelLimitsView = Type.Unsafe<Readonly<Record<string, number | null>>>(
  Type.Object(Object.fromEntries(MODEL_LIMIT_FIELDS.map(({ name, about }) => [name, Type.Union([Type.Number(), Type.Null()], { description: `${about}; null: not limited.` })]))),
);

const MODEL_KEY = {
  model_key_id: Uuid,
  name: Text,
  prefix: Type.String({ description: 'First characters of the key, to tell keys apart.' }),
  status: Type.Enum(['active', 'expired', 'revoked']),
  owner: Type.String({ description: 'Who is billed: a user id, or service:NAME.' }),
  models: Type.Union([Type.Array(Text), Type.Null()], { description: 'Backends, models and capabilities that may be asked for; null: all.' }),
  sensitivity: Type.Integer({ minimum: 1, maximum: 3, description: 'What is asked with it counts as this secret: 1 Public, 2 Internal, 3 Confidential. Confidential content never goes to an external backend.' }),
  labels: Type.Array(Text, { description: 'Cached answers are shared among equal labels only.' }),
  priority: Type.Integer({ description: 'Lower is sooner.' }),
  limits: ModelLimitsView,
  expires_at: Nullable(Time),
  created_by: Text,
  created_at: Time,
  updated_at: Time,
  revoked_at: Nullable(Time),
  last_used_at: Type.Union([Time, Type.Null()], { description: 'To about five minutes.' }),
};

export const ModelKeyView = component('ModelKey', Type.Object(MODEL_KEY));

export const ModelKeyCreatedView = component('ModelKeyCreated', Type.Object({ ...MODEL_KEY, key: Type.String({ description: 'The key itself. It is shown only here and cannot be read again.' }) }));

export const ModelUsageRowView = component(
  'ModelUsageRow',
  Type.Object({
    key: Type.String({ description: 'Of the group; empty: none.' }),
    calls: Count,
    failed: Count,
    prompt_tokens: Count,
    cached_tokens: Type.Integer({ minimum: 0, description: 'Of the prompt: read from the server’s own cache.' }),
    completion_tokens: Count,
    reasoning_tokens: Type.Integer({ minimum: 0, description: 'Of the completion: thoughts.' }),
    cost_usd: Type.Number(),
    estimated_calls: Type.Integer({ minimum: 0, description: 'Calls whose tokens no server has counted.' }),
    estimated_share: Type.Number({ minimum: 0, maximum: 1, description: 'Of the calls.' }),
    latency_ms: Type.Integer({ minimum: 0, description: 'Mean of the calls.' }),
  }),
);

export const ChunkView = component(
  'KnowledgeChunk',
  Type.Object({
    chunk_id: Text,
    title: Text,
    heading_path: Type.Array(Text, { description: 'Headings above the chunk, outermost first.' }),
    content: Text,
    source: Text,
    score: Nullable(Type.Number()),
    sensitivity: Type.Integer({ minimum: 1, maximum: 3, description: '1 Public, 2 Internal, 3 Confidential.' }),
    access_group: Text,
  }),
);

export const DocumentView = component(
  'KnowledgeDocument',
  Type.Object({ document_id: Text, title: Text, source: Text, sensitivity: Type.Integer(), access_group: Text, chunks: Count, updated_at: Time }),
);

export const PreferencePairView = component(
  'PreferencePair',
  Type.Object({ id: Text, run_id: Uuid, prompt: Text, chosen: Nullable(Text), rejected: Nullable(Text), category: Nullable(Text), created_at: Time }),
);

/** Every component, for OpenAPI. */
export const COMPONENTS = [
  Problem, UsageView, LineageView, LineageItemView, RunCreatedView, RunView, ScheduleView, DecisionView, ThinkStepView, ActStepView, StepView, EventView,
  VoteView, ApprovalView, AgentView, ToolView, PluginView, ModelView, PolicyView, AuditView, AuditVerificationView, UsageRowView, ModelKeyView, ModelKeyCreatedView, ModelUsageRowView, ChunkView, DocumentView, PreferencePairView, DiagnosisView,
] as const;
