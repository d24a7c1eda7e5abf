import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { CacheEvent, FleetEvent, Gateway, GatewayEvent } from '@openeaap/msig';
import { similarityBucket } from '@openeaap/msig';

export interface GatewayMetrics {
  readonly observeModel: (event: GatewayEvent) => void;
  readonly observeFleet: (event: FleetEvent) => void;
  readonly observeCache: (event: CacheEvent) => void;
}

const CACHE_LEVELS = ['l1', 'l2', 'l3'] as const;
const SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30];

/** What the model gateway does: the document's `msig_cache_hit_ratio`, the OpenTelemetry GenAI names, and the backends one by one. */
export function addGatewayMetrics(registry: Registry, gateway: () => Pick<Gateway, 'health' | 'loads'> | null): GatewayMetrics {
  const registers = [registry];
  const modelSeconds = new Histogram({ name: 'gen_ai_client_operation_duration_seconds', help: 'One model call, as the gateway saw it.', labelNames: ['gen_ai_provider_name', 'gen_ai_request_model', 'outcome'], buckets: SECONDS, registers });
  const firstByteSeconds = new Histogram({ name: 'gen_ai_client_operation_time_to_first_chunk_seconds', help: 'Until the first byte of the answer.', labelNames: ['gen_ai_provider_name', 'gen_ai_request_model'], buckets: SECONDS, registers });
  const modelTokens = new Counter({ name: 'gen_ai_client_token_usage', help: 'Tokens of model calls. input_cached and output_reasoning are parts of input and output.', labelNames: ['gen_ai_provider_name', 'gen_ai_request_model', 'gen_ai_token_type'], registers });
  const requests = new Counter({ name: 'msig_requests_total', help: 'Requests to the gateway, by what became of them.', labelNames: ['kind', 'backend', 'outcome', 'cache'], registers });
  const cost = new Counter({ name: 'msig_cost_usd_total', help: 'What model calls cost, by the configured prices.', labelNames: ['backend', 'model'], registers });
  addStates(registry, gateway);

  /** prom-client checks and hashes labels at each call; those of one backend, model and outcome are the same each time. */
  const series = new Map<string, Series>();
  const openSeries = ({ kind, backend, model, outcome, cache }: GatewayEvent): Series => {
    const labels = { gen_ai_provider_name: backend, gen_ai_request_model: model };
    const tokens = (gen_ai_token_type: string) => modelTokens.labels({ ...labels, gen_ai_token_type });
    return {
      seconds: modelSeconds.labels({ ...labels, outcome }),
      firstByte: firstByteSeconds.labels(labels),
      input: tokens('input'),
      output: tokens('output'),
      cached: tokens('input_cached'),
      reasoning: tokens('output_reasoning'),
      cost: cost.labels({ backend, model }),
      requests: requests.labels({ kind, backend, outcome, cache: cache?.level ?? cache?.state ?? 'none' }),
    };
  };

  return {
    observeFleet: addFleetMetrics(registry),
    observeCache: addCacheMetrics(registry),
    observeModel: (event) => {
      const { usage, cache } = event;
      const key = `${event.backend}\0${event.model}\0${event.outcome}\0${event.kind}\0${cache?.level ?? cache?.state ?? ''}`;
      let known = series.get(key);
      if (known === undefined) {
        // A server may call its model as it likes, each time anew: beyond the bound all names are one.
        known = openSeries(series.size < SERIES_MAX ? event : { ...event, model: 'other' });
        if (series.size < SERIES_MAX) series.set(key, known);
      }
      known.seconds.observe(event.latencyMs / 1_000);
      if (event.firstByteMs !== null) known.firstByte.observe(event.firstByteMs / 1_000);
      if (usage.promptTokens > 0) known.input.inc(usage.promptTokens);
      if (usage.completionTokens > 0) known.output.inc(usage.completionTokens);
      if (usage.cachedTokens !== undefined) known.cached.inc(usage.cachedTokens);
      if (usage.reasoningTokens !== undefined) known.reasoning.inc(usage.reasoningTokens);
      if (usage.costUsdMicros > 0) known.cost.inc(usage.costUsdMicros / 1_000_000);
      known.requests.inc();
    },
  };
}

/** Of backends, models, kinds and outcomes together. */
const SERIES_MAX = 2_000;

interface Series {
  readonly seconds: { observe: (value: number) => void };
  readonly firstByte: { observe: (value: number) => void };
  readonly input: Inc;
  readonly output: Inc;
  readonly cached: Inc;
  readonly reasoning: Inc;
  readonly cost: Inc;
  readonly requests: Inc;
}

interface Inc {
  inc: (value?: number) => void;
}

function addFleetMetrics(registry: Registry): GatewayMetrics['observeFleet'] {
  const registers = [registry];
  const events = new Counter({ name: 'msig_backend_events_total', help: 'Servers that were left alone, tried again, ejected or paused; requests that waited, were turned away or tried again; requests that went to the server that holds their beginning.', labelNames: ['backend', 'event'], registers });
  const waits = new Histogram({ name: 'msig_queue_wait_seconds', help: 'Waits for a place at a server.', labelNames: ['backend'], buckets: SECONDS, registers });
  return (event) => {
    const { backend } = event;
    events.inc({ backend, event: nameOf(event) });
    if (event.kind === 'queue') waits.observe({ backend }, event.waitedMs / 1_000);
  };
}

function nameOf(event: FleetEvent): string {
  switch (event.kind) {
    case 'breaker':
      return `breaker_${event.state}`;
    case 'affinity':
    case 'queue':
      return `${event.kind}_${event.outcome}`;
    case 'retry':
      return event.granted ? 'retry' : 'retry_refused';
    default:
      return event.kind;
  }
}

function addCacheMetrics(registry: Registry): GatewayMetrics['observeCache'] {
  const registers = [registry];
  const ratio = new Gauge({ name: 'msig_cache_hit_ratio', help: 'Hits by looks of this level, since the start; a level is asked what the one before it had not. 0 while the level is off.', labelNames: ['cache_level'], registers });
  const looks = new Counter({ name: 'msig_cache_requests_total', help: 'Looks into a cache level.', labelNames: ['cache_level', 'result'], registers });
  const events = new Counter({ name: 'msig_cache_events_total', help: 'Answers that were shared, kept, or not kept and why; semantic hits that the guard refused and why.', labelNames: ['event', 'reason'], registers });
  const shadow = new Counter({ name: 'msig_semantic_shadow_total', help: 'Semantic hits that were compared with the answer of the backend, by similarity (lower bound).', labelNames: ['similarity', 'result'], registers });
  const seen = new Map(CACHE_LEVELS.map((level) => [level, { looks: 0, hits: 0 }]));
  for (const level of CACHE_LEVELS) ratio.set({ cache_level: level }, 0);
  return (event) => {
    switch (event.kind) {
      case 'look': {
        const level = seen.get(event.level) ?? { looks: 0, hits: 0 };
        level.looks += 1;
        if (event.isHit) level.hits += 1;
        ratio.set({ cache_level: event.level }, level.hits / level.looks);
        looks.inc({ cache_level: event.level, result: event.isHit ? 'hit' : 'miss' });
        return;
      }
      case 'shadow':
        shadow.inc({ similarity: similarityBucket(event.similarity), result: event.isAgreed ? 'agreed' : 'disagreed' });
        return;
      case 'semantic':
        events.inc({ event: event.isOn ? 'semantic_on' : 'semantic_off', reason: '' });
        return;
      default:
        events.inc({ event: event.kind, reason: 'reason' in event ? event.reason : '' });
    }
  };
}

/** Read when the page is asked for. */
function addStates(registry: Registry, gateway: () => Pick<Gateway, 'health' | 'loads'> | null): void {
  const perBackend = (name: string, help: string, value: (health: ReturnType<Gateway['health']>['backends'][number]) => number | null): void => {
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames: ['backend'],
        registers: [],
        collect() {
          this.reset();
          for (const health of gateway()?.health().backends ?? []) {
            const read = value(health);
            if (read !== null) this.set({ backend: health.name }, read);
          }
        },
      }),
    );
  };
  perBackend('msig_backend_up', '1: a server of it may be asked; 0: none may. Absent before its first call.', ({ state }) => (state === 'unknown' ? null : state === 'up' ? 1 : 0));
  perBackend('msig_backend_requests_in_flight', 'Requests at its servers.', ({ inFlight }) => inFlight);
  perBackend('msig_backend_requests_queued', 'Requests that wait for a place.', ({ queued }) => queued);
  const perServer = (name: string, help: string, value: (load: { readonly running: number; readonly waiting: number; readonly kvCacheUsage: number }) => number): void => {
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames: ['endpoint'],
        registers: [],
        collect() {
          this.reset();
          for (const [endpoint, load] of gateway()?.loads() ?? []) this.set({ endpoint }, value(load));
        },
      }),
    );
  };
  perServer('msig_vllm_requests_running', 'As the vLLM server last said.', ({ running }) => running);
  perServer('msig_vllm_requests_waiting', 'As the vLLM server last said.', ({ waiting }) => waiting);
  perServer('msig_vllm_kv_cache_usage_ratio', 'As the vLLM server last said; 0 to 1.', ({ kvCacheUsage }) => kvCacheUsage);
}
