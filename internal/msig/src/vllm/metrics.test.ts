import { describe, expect, it } from 'vitest';
import { parseVllmMetrics } from './metrics.ts';

/** Lines of a real 0.32. */
const REAL = `# HELP python_gc_objects_collected_total Objects collected during gc
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{generation="0"} 20714.0
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="tiny"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="deferred"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 2048.0
vllm:prefix_cache_queries_created{engine="0",model_name="tiny"} 1.7955425632223475e+09
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 512.0
vllm:prefix_cache_hits_created{engine="0",model_name="tiny"} 1.7955425632223604e+09
vllm:external_prefix_cache_queries_total{engine="0",model_name="tiny"} 9.0
vllm:iteration_tokens_total_bucket{engine="0",le="1.0",model_name="tiny"} 23.0
vllm:lora_requests_info{max_lora="1",running_lora_adapters="",waiting_lora_adapters=""} 1.7955425650194e+09
vllm:lora_requests_info{max_lora="1",running_lora_adapters="lora-a",waiting_lora_adapters="lora-b,lora-a"} 1.7955425864198508e+09
vllm:lora_requests_info{max_lora="1",running_lora_adapters="gone",waiting_lora_adapters=""} 1.7955425e+09
`;

describe('the metrics of a vLLM server', () => {
  it('tell the load', () => {
    expect(parseVllmMetrics(REAL, 5)).toEqual({ running: 3, waiting: 2, kvCacheUsage: 0.25, atMs: 5 });
  });

  it('are summed over the engines of one server; the fullest cache counts', () => {
    const page = [0, 1].map((engine) => `vllm:num_requests_running{engine="${engine}",model_name="m}{\\"x"} ${engine + 1}\nvllm:num_requests_waiting{engine="${engine}"} 4\nvllm:kv_cache_usage_perc{engine="${engine}"} 0.${engine + 3} 1700000000\n`).join('');
    expect(parseVllmMetrics(page, 0)).toMatchObject({ running: 3, waiting: 8, kvCacheUsage: 0.4 });
  });

  it('are understood under the names of older servers, and not counted twice under both', () => {
    const old = 'vllm:num_requests_running 1\nvllm:gpu_cache_usage_perc{model_name="m"} 0.5\n';
    expect(parseVllmMetrics(old, 0)).toMatchObject({ running: 1, waiting: 0, kvCacheUsage: 0.5 });
    expect(parseVllmMetrics(`${old}vllm:kv_cache_usage_perc 0.1\n`, 0)).toMatchObject({ kvCacheUsage: 0.1 });
  });

  it.each(['', 'not found', '<html>vllm:num_requests_running 1', 'vllm:num_requests_running NaN\n', 'vllm:num_requests_running{engine="0"} +Inf\n', 'vllm:num_requests_running -1', 'vllm:num_requests_running{engine="0" 1x'])('are none in %j', (page) => {
    expect(parseVllmMetrics(page, 0)).toBeNull();
  });

  it('bring no odd number into the routing', () => {
    expect(parseVllmMetrics('vllm:num_requests_running 1\nvllm:kv_cache_usage_perc 7\nvllm:num_requests_waiting NaN', 0)).toMatchObject({ waiting: 0, kvCacheUsage: 1 });
  });

  it('are read once, however long the page', () => {
    const page = `${'vllm:e2e_request_latency_seconds_bucket{engine="0",le="0.3",model_name="m"} 1.0\n'.repeat(50_000)}${REAL}`;
    const begun = performance.now();
    expect(parseVllmMetrics(page, 0)).toMatchObject({ running: 3 });
    expect(performance.now() - begun).toBeLessThan(500);
  });
});
