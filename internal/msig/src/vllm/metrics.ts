import type { VllmLoad } from './load.ts';

/** Newest name first; the older ones are those of vLLM before 0.10. */
const SERIES = {
  running: ['vllm:num_requests_running'],
  waiting: ['vllm:num_requests_waiting'],
  kvCacheUsage: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
} as const;

/**
 * Prometheus text of a vLLM server's `/metrics`. Requests are summed over the engines of a
 * data-parallel server, of the KV caches the fullest counts. null: the text has no gauge of
 * running requests, so it is not vLLM's.
 */
export function parseVllmMetrics(text: string, atMs: number): VllmLoad | null {
  const samples = readSamples(text);
  const of = (names: readonly string[]): readonly number[] => {
    const name = names.find((each) => samples.has(each));
    return name === undefined ? [] : (samples.get(name) ?? []);
  };
  const running = of(SERIES.running);
  if (running.length === 0) return null;
  return { running: sum(running), waiting: sum(of(SERIES.waiting)), kvCacheUsage: Math.min(1, Math.max(0, ...of(SERIES.kvCacheUsage))), atMs };
}

const WANTED: ReadonlySet<string> = new Set(Object.values(SERIES).flat());

/** Only the wanted series, by name: a real page has some thousand lines of histograms. */
function readSamples(text: string): ReadonlyMap<string, readonly number[]> {
  const samples = new Map<string, number[]>();
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    if (text.startsWith('vllm:', start)) {
      const sample = readSample(text.slice(start, end));
      if (sample !== null) samples.set(sample.name, [...(samples.get(sample.name) ?? []), sample.value]);
    }
    start = end + 1;
  }
  return samples;
}

/** `name{labels} value`, and perhaps a time stamp, which is not read. */
function readSample(line: string): { readonly name: string; readonly value: number } | null {
  const name = /^[^{ ]+/.exec(line)?.[0] ?? '';
  if (!WANTED.has(name)) return null;
  // The last brace ends the labels, for their values may hold braces; after it there are numbers only.
  const brace = line.lastIndexOf('}');
  const value = Number(line.slice(brace === -1 ? name.length : brace + 1).trim().split(' ')[0]);
  return Number.isFinite(value) && value >= 0 ? { name, value } : null;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
