import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Observation } from '@openeaap/orchestrator';
import type { Gateway } from '@openeaap/msig';
import { addGatewayMetrics } from './gateway-metrics.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';

export interface Metrics extends GatewayMetrics {
  readonly observe: (observation: Observation) => void;
  readonly render: () => Promise<string>;
}

/** Document section 17.2, name for name, and the OpenTelemetry GenAI names beside them. */
export function createMetrics(sources: { readonly runsInHand: () => number; readonly streamReaders: () => number; readonly gateway: () => Gateway | null }): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const runs = new Counter({ name: 'agent_run_total', help: 'Runs that have ended, by status.', labelNames: ['agent_id', 'status'], registers });
  const tokens = new Counter({ name: 'agent_token_usage', help: 'Tokens used, prompt and completion together.', labelNames: ['agent_id', 'model_name'], registers });
  const blocked = new Counter({ name: 'pdp_block_total', help: 'Thinks and acts that the PDP denied or held for approval.', labelNames: ['policy_rule', 'user_group'], registers });
  // vLLM exposes no GPU utilisation; a DCGM exporter on the GPU nodes fills this name.
  registry.registerMetric(new Gauge({ name: 'vllm_gpu_utilization', help: 'GPU utilisation; samples come from the DCGM exporter of the GPU nodes.', labelNames: ['node_ip', 'gpu_id'], registers: [] }));
  const runSeconds = new Histogram({ name: 'openeaap_run_duration_seconds', help: 'From acceptance to the end, waits included.', labelNames: ['status'], buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200], registers });
  const thinkSeconds = new Histogram({ name: 'openeaap_think_duration_seconds', help: 'One think.', labelNames: ['outcome'], buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30], registers });
  const toolSeconds = new Histogram({ name: 'openeaap_tool_duration_seconds', help: 'One tool call.', labelNames: ['tool', 'outcome'], buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30], registers });
  const fires = new Counter({ name: 'openeaap_schedule_fires_total', help: 'Fires of schedules, by what came of them: started, skipped, failed, missed.', labelNames: ['outcome'], registers });
  const alarms = new Counter({ name: 'openeaap_schedule_alarms_total', help: 'Fires of schedules that had failed several times in a row.', registers });
  const gatewayMetrics = addGatewayMetrics(registry, sources.gateway);
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
    ...gatewayMetrics,
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
