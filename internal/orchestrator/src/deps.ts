import type { Clock, Ids } from '@openeaap/kernel';
import type { Log, MeterPort, Observation, PolicyPort, RunStore, RuntimePort, TextPort, ToolPort, WatchPort } from './port.ts';

/** Everything that driving a run needs from outside. */
export interface DriveDeps {
  readonly store: RunStore;
  readonly policy: PolicyPort;
  readonly tools: ToolPort;
  readonly runtimes: RuntimePort;
  readonly meter: MeterPort;
  readonly text: TextPort;
  readonly watch: WatchPort;
  readonly observe: (observation: Observation) => void;
  /** Writes the span of a whole run when it has ended; its id was fixed when the run was accepted. */
  readonly endRootSpan: (run: { readonly traceId: string; readonly rootSpanId: string; readonly startedAt: Date; readonly endedAt: Date; readonly status: string; readonly agentName: string; readonly runId: string; readonly userId: string }) => void;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
}
