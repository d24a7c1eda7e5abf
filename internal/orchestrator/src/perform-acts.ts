import type { ActStep, JsonObject } from '@openeaap/kernel';
import { STEP_CREDENTIALS, callIdempotencyKey, isJsonObject, toPlatformError } from '@openeaap/kernel';
import type { ToolOutcome } from '@openeaap/adapter';
import type { DriveDeps } from './deps.ts';
import { actOutcome } from './facts.ts';
import type { Fragment } from './fragment.ts';
import { merge } from './fragment.ts';
import { maskText } from './mask-text.ts';
import type { Outcome } from './perform-think.ts';
import { resultEvent } from './plan-acts.ts';
import type { RunState } from './run-state.ts';
import { inSpan, traceHeaders } from './spans.ts';
import { stepIdentity } from './step-identity.ts';
import { mayHaveHappened, wasNotSent } from './unknown-outcome.ts';

/** Wait before a call is made again; it doubles with each try. */
const RETRY_MS = { first: 200, longest: 5_000 } as const;

/** Makes calls whose start has been committed, together, once each. */
export async function performActs(state: RunState, acts: readonly ActStep[], deps: DriveDeps, signal: AbortSignal): Promise<Outcome> {
  const fragments = await Promise.all(acts.map((act) => performAct(state, act, deps, signal)));
  return { kind: 'done', fragment: merge(...fragments), failure: null };
}

async function performAct(state: RunState, act: ActStep, deps: DriveDeps, signal: AbortSignal): Promise<Fragment> {
  if (act.attempts > 1) await deps.clock.sleep(Math.min(RETRY_MS.first * 2 ** (act.attempts - 2), RETRY_MS.longest), signal);
  const begunAt = deps.clock.now().getTime();
  const tried = await tryCall(state, act, deps, signal);
  const metered = deps.meter.take(act.id);
  const costs = metered === null ? {} : { usage: [{ stepNo: act.no, backend: metered.backend, usage: metered.usage }] };
  if (metered !== null) deps.observe({ kind: 'tokens', agentId: state.agent.id, model: metered.backend, tokens: metered.usage.promptTokens + metered.usage.completionTokens });
  const durationMs = deps.clock.now().getTime() - begunAt;
  deps.observe({ kind: 'tool', tool: act.tool, seconds: durationMs / 1_000, outcome: tried.kind === 'ok' ? 'ok' : tried.code });
  const finishedAt = deps.clock.now();
  if (tried.kind === 'ok') return merge(costs, succeed(state, { ...act, finishedAt }, tried.outcome, durationMs, deps));
  const failed: ActStep = { ...act, finishedAt, error: { code: tried.code, message: maskText(deps.text, tried.message) } };
  if (mayHaveHappened(tried.code)) {
    // Left as `started`: planActs makes it again if it is repeatable and asks a person if it is not (R4);
    // a cancellation says what it leaves behind.
    return merge(costs, { steps: [{ ...failed, status: 'started', finishedAt: null }], audit: [actOutcome(state, failed, 'unknown', durationMs)] });
  }
  const settled: ActStep = { ...failed, status: 'failed' };
  return merge(costs, { steps: [settled], events: [resultEvent(settled)], audit: [actOutcome(state, settled, 'error', durationMs)] });
}

type Tried = { readonly kind: 'ok'; readonly outcome: ToolOutcome } | { readonly kind: 'error'; readonly code: NonNullable<ActStep['error']>['code']; readonly message: string };

async function tryCall(state: RunState, act: ActStep, deps: DriveDeps, signal: AbortSignal): Promise<Tried> {
  const args: JsonObject = isJsonObject(act.args) ? act.args : {};
  const credentials = credentialsFor(state, act, deps);
  try {
    const outcome = await inSpan('Tool.Execute', { 'tool.name': act.tool, 'tool.input_size': JSON.stringify(args).length, 'gen_ai.tool.name': act.tool }, () =>
      deps.tools.call(
        { tool: act.tool, args, idempotencyKey: callIdempotencyKey(state.run.id, act.no), runId: state.run.id, stepId: act.id, stepNo: act.no, agentId: state.agent.id, dryRun: false },
        { signal, principal: state.run.principal, traceContext: traceHeaders({ traceId: state.run.traceId, rootSpanId: state.rootSpanId }) },
        credentials,
      ),
    );
    return { kind: 'ok', outcome };
  } catch (thrown) {
    // Only a tool that says so has failed for certain; of anything else nobody knows how it ended.
    const error = toPlatformError(thrown);
    return { kind: 'error', code: wasNotSent(error) && error.code !== 'cancelled' ? 'tool_failed' : error.code, message: error.message };
  } finally {
    deps.meter.revoke(act.id);
  }
}

/** Only a tool that asks for a model gets one: a credential for this step, this tool and this time. */
function credentialsFor(state: RunState, act: ActStep, deps: DriveDeps): Readonly<Record<string, string>> {
  const spec = deps.tools.find(act.tool);
  if (spec?.secrets?.includes(STEP_CREDENTIALS.modelToken) !== true) return {};
  return deps.meter.credentials(stepIdentity(state, { stepId: act.id, tool: act.tool, maxTokens: state.agent.configuration.model.maxTokens, timeoutMs: spec.timeoutMs }));
}

function succeed(state: RunState, act: ActStep, outcome: ToolOutcome, durationMs: number, deps: DriveDeps): Fragment {
  const result = deps.text.mask(outcome.output);
  const lineage = outcome.lineage ?? [];
  const suspicious = deps.text.looksLikeInjection(JSON.stringify(result));
  const step: ActStep = { ...act, status: 'done', result, lineage, suspicious };
  const retrieved = { type: 'knowledge_retrieved' as const, data: { step: act.no, chunks: lineage.map((ref) => ({ chunk_id: ref.chunkId, title: ref.title, source: ref.source, score: ref.score })) } };
  return merge({
    steps: [step],
    events: [...(lineage.length === 0 ? [] : [retrieved]), resultEvent(step)],
    audit: [actOutcome(state, step, 'ok', durationMs)],
  });
}
