import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Observation } from '@openeaap/orchestrator';
import type { GatewayEvent } from '@openeaap/msig';

export interface Metrics {
  readonly observe: (observation: Observation) => void;
  readonly observeModel: (event: GatewayEvent) => void;
  readonly render: () => Promise<string>;
}

/** Document section 17.2, name for name, and the OpenTelemetry GenAI names beside them. */
export function createMetrics(sources: { readonly runsInHand: () => number; readonly streamReaders: () => number }): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const runs = new Counter({ name: 'agent_run_total', help: 'Runs that have ended, by status.', labelNames: ['agent_id', 'status'], registers });
  const tokens = new Counter({ name: 'agent_token_usage', help: 'Tokens used, prompt and completion together.', labelNames: ['agent_id', 'model_name'], registers });
  const blocked = new Counter({ name: 'pdp_block_total', help: 'Thinks and acts that the PDP denied or held for approval.', labelNames: ['policy_rule', 'user_group'], registers });
  const hits = new Gauge({ name: 'msig_cache_hit_ratio', help: 'Share of model calls answered by a cache level; 0 while the level is off.', labelNames: ['cache_level'], registers });
  for (const level of ['l1', 'l2', 'l3']) hits.set({ cache_level: level }, 0);
  // vLLM exposes no GPU utilisation; a DCGM exporter on the GPU nodes fills this name.
  registry.registerMetric(new Gauge({ name: 'vllm_gpu_utilization', help: 'GPU utilisation; samples come from the DCGM exporter of the GPU nodes.', labelNames: ['node_ip', 'gpu_id'], registers: [] }));
  const runSeconds = new Histogram({ name: 'openeaap_run_duration_seconds', help: 'From acceptance to the end, waits included.', labelNames: ['status'], buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200], registers });
  const thinkSeconds = new Histogram({ name: 'openeaap_think_duration_seconds', help: 'One think.', labelNames: ['outcome'], buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30], registers });
  const toolSeconds = new Histogram({ name: 'openeaap_tool_duration_seconds', help: 'One tool call.', labelNames: ['tool', 'outcome'], buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30], registers });
  const fires = new Counter({ name: 'openeaap_schedule_fires_total', help: 'Fires of schedules, by what came of them: started, skipped, failed, missed.', labelNames: ['outcome'], registers });
  const alarms = new Counter({ name: 'openeaap_schedule_alarms_total', help: 'Fires of schedules that had failed several times in a row.', registers });
  const modelSeconds = new Histogram({
    name: 'gen_ai_client_operation_duration_seconds',
    help: 'One model call, as the gateway saw it.',
    labelNames: ['gen_ai_provider_name', 'gen_ai_request_model', 'outcome'],
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30],
    registers,
  });
  const modelTokens = new Counter({ name: 'gen_ai_client_token_usage', help: 'Tokens of model calls.', labelNames: ['gen_ai_provider_name', 'gen_ai_request_model', 'gen_ai_token_type'], registers });
  registry.registerMetric(gaugeOf('openeaap_runs_in_hand', 'Runs that this node drives now.', sources.runsInHand));
  registry.registerMetric(gaugeOf('openeaap_stream_readers', 'Open event streams.', sources.streamReaders));

  return {
    observe: (seen) => {
      switch (seen.kind) {
        case 'run_ended':
          runs.inc({ agent_id: seen.agentId, status: seen.status });
          runSeconds.observe({ status: seen.status }, seen.seconds);
          return;
        case 'tokens':
          tokens.inc({ agent_id: seen.agentId, model_name: seen.model }, seen.tokens);
          return;
        case 'blocked':
          blocked.inc({ policy_rule: seen.rule, user_group: seen.userGroup });
          return;
        case 'think':
          thinkSeconds.observe({ outcome: seen.outcome }, seen.seconds);
          return;
        case 'tool':
          toolSeconds.observe({ tool: seen.tool, outcome: seen.outcome }, seen.seconds);
          return;
        case 'schedule_fire':
          fires.inc({ outcome: seen.outcome });
          if (seen.alarming) alarms.inc();
      }
    },
    observeModel: (event) => {
      const labels = { gen_ai_provider_name: event.backend, gen_ai_request_model: event.model };
      modelSeconds.observe({ ...labels, outcome: event.outcome }, event.latencyMs / 1_000);
      modelTokens.inc({ ...labels, gen_ai_token_type: 'input' }, event.usage.promptTokens);
      modelTokens.inc({ ...labels, gen_ai_token_type: 'output' }, event.usage.completionTokens);
    },
    render: () => registry.metrics(),
  };
}

function gaugeOf(name: string, help: string, value: () => number): Gauge {
  return new Gauge({
    name,
    help,
    registers: [],
    collect() {
      this.set(value());
    },
  });
}
