import { setMaxListeners } from 'node:events';
import { PlatformError } from '@openeaap/kernel';
import type { ErrorDetails, JsonObject } from '@openeaap/kernel';
import type { Access } from '../../access.ts';
import { BACKEND_DEFAULTS, CONFIG_DEFAULTS } from '../../config/config.ts';
import type { BackendConfig, GatewayConfig } from '../../config/gateway-config.ts';
import type { ModelRequest } from '../../request/model-request.ts';
import { createFleet } from '../create-fleet.ts';
import type { FleetDeps } from '../create-fleet.ts';
import type { Fleet, FleetEvent, Place, TryOutcome } from '../fleet.ts';
import { createManualTime, seededRandom } from './manual-time.ts';
import type { ManualTime } from './manual-time.ts';

export const ACCESS: Access = { tenantId: 't1', runId: 'r1', stepId: 's1', agentId: 'a1', userId: 'u1', traceId: 'tr1' };

export function aBackend(name: string, changes: Partial<BackendConfig> = {}): BackendConfig {
  return {
    ...BACKEND_DEFAULTS,
    name, type: 'vllm', endpoints: [`http://${name}:8000`], model: `${name}-model`, adapters: [], capabilities: [], prices: { input: 0, cachedInput: 0, output: 0 },
    contextWindow: null, size: null, external: false, weight: 1, fallbacks: [], timeoutMs: 30_000, firstByteTimeoutMs: 30_000, script: '', labels: {},
    ...changes,
  };
}

export function aConfig(backends: readonly BackendConfig[], changes: Partial<GatewayConfig> = {}): GatewayConfig {
  return { ...CONFIG_DEFAULTS, routingStrategy: 'cost_optimized', defaultBackend: backends[0]?.name ?? '', backends, privacy: { internalHosts: [] }, limits: [], ...changes };
}

/** A chat of one message, unless the body says otherwise. */
export function aRequest(changes: Partial<Omit<ModelRequest, 'text'>> & { readonly prompt?: string } = {}): ModelRequest {
  const { prompt = 'hello', ...others } = changes;
  const body: JsonObject = others.body ?? { messages: [{ role: 'user', content: prompt }] };
  return { kind: 'chat', model: '', isStream: false, wantsUsage: false, wantsUsageOnEveryChunk: false, choices: 1, maxTokens: null, ...others, body, text: JSON.stringify(body) };
}

export interface TestFleet extends Fleet {
  readonly time: ManualTime;
  readonly events: readonly (FleetEvent & { readonly atMs: number })[];
  /** A place at the backend, with time enough. */
  readonly at: (backend: BackendConfig, changes?: EnterChanges) => Promise<Place>;
  /** Enters and leaves so many times, one after the other. */
  readonly ask: (backend: BackendConfig, outcome: TryOutcome, times?: number) => Promise<void>;
}

export interface EnterChanges {
  readonly request?: ModelRequest;
  readonly access?: Partial<Access>;
  readonly signal?: AbortSignal;
  readonly withinMs?: number;
  readonly avoid?: readonly string[];
}

export const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

export function aFleet(config: GatewayConfig, deps: Partial<FleetDeps> & { readonly time?: ManualTime } = {}): TestFleet {
  const { time = createManualTime(), ...others } = deps;
  const events: (FleetEvent & { readonly atMs: number })[] = [];
  const fleet = createFleet(config, { now: time.now, setTimer: time.setTimer, random: seededRandom(1), readLoad: () => null, onEvent: (event) => void events.push({ ...event, atMs: time.now() }), ...others });
  const at: TestFleet['at'] = (backend, { request = aRequest(), access = {}, signal = NEVER, withinMs = 10_000, avoid = [] } = {}) =>
    fleet.enter(backend, request, { ...ACCESS, ...access }, { signal, deadlineMs: time.now() + withinMs, avoid });
  return {
    ...fleet,
    time,
    events,
    at,
    ask: async (backend, outcome, times = 1) => {
      for (let made = 0; made < times; made += 1) (await at(backend)).leave(outcome);
    },
  };
}

export const answered = (firstByteMs = 10): TryOutcome => ({ error: null, firstByteMs, totalMs: firstByteMs * 2 });
export const failed = (details: ErrorDetails = {}): TryOutcome => ({ error: new PlatformError('model_unavailable', 'It is broken.', { details }), firstByteMs: null, totalMs: 5 });
export const rejected = (status: number): TryOutcome => ({ error: new PlatformError('model_rejected', 'Refused.', { details: { status } }), firstByteMs: null, totalMs: 5 });
export const cancelled: TryOutcome = { error: new PlatformError('cancelled', 'Gone.'), firstByteMs: null, totalMs: 5 };
