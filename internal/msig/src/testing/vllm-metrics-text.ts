import type { VllmEngine } from './vllm-engine.ts';

/** `/metrics` as a real vLLM 0.32 has it, cut to what anybody here reads and a few lines beside it. */
export function vllmMetrics({ model, engine, aborted, answered }: { readonly model: string; readonly engine: VllmEngine; readonly aborted: number; readonly answered: number }): string {
  const at = `{engine="0",model_name="${model}"}`;
  return [
    '# HELP vllm:num_requests_running Number of requests in model execution batches.',
    '# TYPE vllm:num_requests_running gauge',
    `vllm:num_requests_running${at} ${engine.running()}.0`,
    '# TYPE vllm:num_requests_waiting gauge',
    `vllm:num_requests_waiting${at} ${engine.waiting()}.0`,
    `vllm:num_requests_waiting_by_reason{engine="0",model_name="${model}",reason="capacity"} ${engine.waiting()}.0`,
    '# TYPE vllm:kv_cache_usage_perc gauge',
    `vllm:kv_cache_usage_perc${at} ${engine.running() === 0 ? '0.0' : '0.25'}`,
    '# TYPE vllm:prefix_cache_queries_total counter',
    `vllm:prefix_cache_queries_total${at} ${engine.prefixQueries()}.0`,
    `vllm:prefix_cache_queries_created${at} 1.7955425632223475e+09`,
    `vllm:prefix_cache_hits_total${at} ${engine.prefixHits()}.0`,
    `vllm:external_prefix_cache_hits_total${at} 0.0`,
    `vllm:request_success_total{engine="0",finished_reason="stop",model_name="${model}"} ${answered}.0`,
    `vllm:request_success_total{engine="0",finished_reason="abort",model_name="${model}"} ${aborted}.0`,
    'vllm:lora_requests_info{max_lora="1",running_lora_adapters="",waiting_lora_adapters=""} 1.7955425864198508e+09',
    '',
  ].join('\n');
}
