import type { KeyObject } from 'node:crypto';
import type { Pool } from 'pg';
import type { AuditFact, Clock, Ids, Notice, RunStatus } from '@openeaap/kernel';
import type { HeadSigner, SignedHead } from '@openeaap/audit';
import type { ReadKnowledge, createRetrieve } from '@openeaap/dikf';
import type { FeedbackCollector } from '@openeaap/mtfs';
import type { Gateway, KeyResolver } from '@openeaap/msig';
import type { DriveDeps, OrchestratorNode, Scheduler } from '@openeaap/orchestrator';
import type { Registry } from '@openeaap/registry';
import type { CommitLane } from '@openeaap/store';
import type { EventHub } from '../event-hub.ts';
import type { Metrics } from '../metrics.ts';
import type { PluginKeeper } from '../plugin-keeper.ts';
import type { PolicyKeeper } from '../policy-keeper.ts';
import type { Readiness } from '../readiness.ts';
import type { Trigger } from '../triggers.ts';

/** All the parts of a running platform, for the functions that serve the REST API. */
export interface PlatformContext {
  readonly pool: Pool;
  /** Its own state folder, and whether the database lies in it. */
  readonly dataDir: string;
  readonly isEmbedded: boolean;
  readonly lane: CommitLane;
  readonly deps: DriveDeps;
  readonly node: OrchestratorNode;
  /** Tells the other nodes. */
  readonly post: (notice: Notice) => void;
  readonly scheduler: Scheduler;
  readonly policy: PolicyKeeper;
  readonly registry: Registry;
  readonly plugins: PluginKeeper;
  readonly gateway: Gateway;
  /** Where this node remembers virtual keys. */
  readonly modelKeys: Pick<KeyResolver, 'forget'>;
  readonly hub: EventHub;
  readonly retrieve: ReturnType<typeof createRetrieve>;
  readonly knowledge: ReadKnowledge;
  readonly collector: FeedbackCollector;
  readonly signer: HeadSigner;
  readonly auditKey: KeyObject;
  /** Signed heads that are kept outside of the database. */
  readonly keptHeads: () => Promise<readonly SignedHead[]>;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly triggers: ReadonlyMap<string, Trigger>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly appendAudit: (facts: readonly AuditFact[]) => Promise<void>;
}

/** There may be a run to claim: for this node and for the others. */
export function announceDue(context: Pick<PlatformContext, 'node' | 'post'>): void {
  context.node.wake();
  context.post({ kind: 'due' });
}

export const ENDED: ReadonlySet<RunStatus> = new Set(['completed', 'failed', 'cancelled']);
