import type { VllmLoad } from './load.ts';

/** Newest name first; the older ones are those of vLLM before 0.9 and 0.10. */
const SERIES = {
  running: ['vllm:num_requests_running'],
  waiting: ['vllm:num_requests_waiting'],
  kvCacheUsage: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
  prefixQueries: ['vllm:prefix_cache_queries_total', 'vllm:prefix_cache_queries', 'vllm:gpu_prefix_cache_queries_total', 'vllm:gpu_prefix_cache_queries'],
  prefixHits: ['vllm:prefix_cache_hits_total', 'vllm:prefix_cache_hits', 'vllm:gpu_prefix_cache_hits_total', 'vllm:gpu_prefix_cache_hits'],
} as const;
const LORA_SERIES = 'vllm:lora_requests_info';
/** Of one server. */
const ADAPTERS_MAX = 1_000;

interface Sample {
  readonly labels: string;
  readonly value: number;
}

/**
 * Prometheus text of a vLLM server's `/metrics`. Requests are summed over the engines of a
 * data-parallel server, of the KV caches the fullest counts. null: the text has no gauge of
 * running requests, so it is not vLLM's.
 */
export function parseVllmMetrics(text: string, atMs: number): VllmLoad | null {
  const samples = readSamples(text);
  const of = (names: readonly string[]): readonly number[] => {
    const name = names.find((each) => samples.has(each));
    return name === undefined ? [] : (samples.get(name) ?? []).map(({ value }) => value);
  };
  const running = of(SERIES.running);
  if (running.length === 0) return null;
  const queries = sum(of(SERIES.prefixQueries));
  return {
    running: sum(running),
    waiting: sum(of(SERIES.waiting)),
    kvCacheUsage: Math.min(1, Math.max(0, ...of(SERIES.kvCacheUsage))),
    prefixHitRatio: queries === 0 ? null : Math.min(1, sum(of(SERIES.prefixHits)) / queries),
    loraAdapters: adaptersOf(samples.get(LORA_SERIES) ?? []),
    atMs,
  };
}

const WANTED: ReadonlySet<string> = new Set([...Object.values(SERIES).flat(), LORA_SERIES]);

/** Only the wanted series: a real page has some thousand lines of histograms. */
function readSamples(text: string): ReadonlyMap<string, readonly Sample[]> {
  const samples = new Map<string, Sample[]>();
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    if (text.startsWith('vllm:', start)) {
      const sample = readSample(text.slice(start, end));
      if (sample !== null) samples.set(sample.name, [...(samples.get(sample.name) ?? []), sample]);
    }
    start = end + 1;
  }
  return samples;
}

/** `name{labels} value`, and perhaps a time stamp, which is not read. */
function readSample(line: string): (Sample & { readonly name: string }) | null {
  const name = /^[^{ ]+/.exec(line)?.[0] ?? '';
  if (!WANTED.has(name)) return null;
  // The last brace ends the labels, for their values may hold braces; after it there are numbers only.
  const brace = line.lastIndexOf('}');
  const labels = brace === -1 ? '' : line.slice(name.length, brace + 1);
  const value = Number(line.slice(brace === -1 ? name.length : brace + 1).trim().split(' ')[0]);
  return Number.isFinite(value) && value >= 0 ? { name, labels, value } : null;
}

/** The value is the time at which the labels were true, and old ones stay on the page: the newest counts. */
function adaptersOf(samples: readonly Sample[]): readonly string[] {
  const newest = samples.reduce<Sample | null>((best, each) => (best === null || each.value > best.value ? each : best), null);
  if (newest === null) return [];
  const names = ['running_lora_adapters', 'waiting_lora_adapters'].flatMap((label) => (new RegExp(`[{,]${label}="([^"]*)"`).exec(newest.labels)?.[1] ?? '').split(','));
  return [...new Set(names.filter((name) => name !== ''))].slice(0, ADAPTERS_MAX);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
