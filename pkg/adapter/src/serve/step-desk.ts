import { toPlatformError } from '@openeaap/kernel';
import { ErrorCode, ExecuteStepResponse, StepKind } from '@openeaap/proto';
import type { ExecuteStepRequest } from '@openeaap/proto';
import type { RuntimeAdapter } from '../runtime.ts';
import type { ToolAdapter } from '../tool-adapter.ts';
import { errorToWire } from '../wire/error-wire.ts';
import type { WireKind } from '../wire/error-wire.ts';
import type { PluginOffer } from '../wire/offer-wire.ts';
import { thinkRequestFromWire, thinkResponseToWire } from '../wire/think-wire.ts';
import { toolInvocationFromWire, toolOutcomeToWire } from '../wire/tool-wire.ts';
import type { PluginLog } from './plugin-log.ts';
import { redactSecrets } from './redact-secrets.ts';

export interface StepDeskOptions {
  readonly offer: () => PluginOffer;
  readonly runtime: RuntimeAdapter | null;
  readonly tools: ToolAdapter | null;
  readonly log: PluginLog;
}

/** Executes single steps, so many at once, and knows how many are under way. Knows nothing of gRPC. */
export interface StepDesk {
  /** The answer, an error of the step among them. Never rejects. null: a kind of step that this version does not know. */
  readonly execute: (request: ExecuteStepRequest, signal: AbortSignal, onDelta: (text: string) => void) => Promise<ExecuteStepResponse | null>;
  readonly underWay: () => number;
}

export function createStepDesk(options: StepDeskOptions): StepDesk {
  let underWay = 0;
  return {
    underWay: () => underWay,
    execute: async (request, signal, onDelta) => {
      const kind = kindOf(request.kind);
      if (kind === null) return null;
      const { maxConcurrentSteps } = options.offer();
      if (maxConcurrentSteps > 0 && underWay >= maxConcurrentSteps) return refusal(ErrorCode.ERROR_CODE_OVERLOADED, `The plugin executes ${maxConcurrentSteps} steps at once and no more. Try again.`, true);
      // Counted until the work has really ended: who ignores the signal still takes the place.
      underWay += 1;
      try {
        return kind === 'think' ? await think(options, request, signal, onDelta) : await callTool(options, request, signal);
      } catch (thrown) {
        return failed(thrown, kind, request, options.log, signal);
      } finally {
        underWay -= 1;
      }
    },
  };
}

function kindOf(kind: StepKind): WireKind | null {
  switch (kind) {
    case StepKind.STEP_KIND_THINK:
      return 'think';
    case StepKind.STEP_KIND_TOOL:
      return 'tool';
    default:
      return null;
  }
}

async function think({ offer, runtime }: StepDeskOptions, request: ExecuteStepRequest, signal: AbortSignal, onDelta: (text: string) => void): Promise<ExecuteStepResponse> {
  const { agents } = offer();
  if (runtime === null || agents.length === 0) return refusal(ErrorCode.ERROR_CODE_INVALID_INPUT, 'This plugin hosts no agents.');
  const wanted = request.agent?.entrypoint ?? '';
  const names = agents.map(({ name }) => name);
  if (wanted === '' && names.length > 1) return refusal(ErrorCode.ERROR_CODE_INVALID_INPUT, `The agent names no entrypoint, and this plugin hosts several: set it to one of ${names.join(', ')}.`);
  if (wanted !== '' && !names.includes(wanted)) return refusal(ErrorCode.ERROR_CODE_INVALID_INPUT, `This plugin hosts no agent "${wanted.slice(0, 64)}". Set the agent's entrypoint to one of ${names.join(', ')}.`);
  return thinkResponseToWire(await runtime.executeStep(thinkRequestFromWire(request), { signal, onDelta }));
}

async function callTool({ offer, tools }: StepDeskOptions, request: ExecuteStepRequest, signal: AbortSignal): Promise<ExecuteStepResponse> {
  const offered = offer().tools;
  if (tools === null || !offered.some(({ name }) => name === request.tool)) {
    return refusal(ErrorCode.ERROR_CODE_INVALID_INPUT, `This plugin has no tool "${request.tool.slice(0, 64)}". It has ${offered.map(({ name }) => name).join(', ') || 'none'}.`);
  }
  if (request.constraints?.blockedTools.includes(request.tool) === true) return refusal(ErrorCode.ERROR_CODE_CONSTRAINT_VIOLATED, `The tool "${request.tool}" is blocked in this step.`);
  const { invocation, context } = toolInvocationFromWire(request);
  return toolOutcomeToWire(await tools.call(invocation, { ...context, signal }));
}

/** The step was not begun. */
function refusal(code: ErrorCode, message: string, retryable = false): ExecuteStepResponse {
  return ExecuteStepResponse.fromPartial({ error: { code, message, retryable } });
}

function failed(thrown: unknown, kind: WireKind, request: ExecuteStepRequest, log: PluginLog, signal: AbortSignal): ExecuteStepResponse {
  const error = toPlatformError(thrown);
  const clean = (text: string): string => redactSecrets(text, request.ephemeralCredentials);
  if (error.code === 'internal' && !signal.aborted) {
    const reason = describe(error.cause ?? thrown);
    log({ level: 'error', message: 'A step broke off.', kind, tool: request.tool, run_id: request.runId, step_id: request.stepId, reason: clean(reason).slice(0, LOGGED_CHARS) });
  }
  const response = errorToWire(error, kind);
  return response.error === undefined ? response : { ...response, error: { ...response.error, message: clean(response.error.message) } };
}

const LOGGED_CHARS = 4_000;

const describe = (cause: unknown): string => (cause instanceof Error ? cause.stack ?? cause.message : String(cause));
