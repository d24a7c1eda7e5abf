import type { PlatformPort } from '@openeaap/http';
import { migrations } from '@openeaap/store';
import { authenticate } from '../access.ts';
import { diagnose } from '../diagnosis/diagnose.ts';
import { judgePlugins } from '../diagnosis/judge-plugins.ts';
import { createAgentPort } from './agents.ts';
import { createApprovalPort } from './approvals.ts';
import { createArchivePort } from './archive.ts';
import type { PlatformContext } from './context.ts';
import { createGovernancePort } from './governance.ts';
import { createKnowledgePort } from './knowledge.ts';
import { createModelKeyPort } from './model-keys.ts';
import { createPluginPort } from './plugins.ts';
import { createRunPort } from './runs.ts';
import { createSchedulePort } from './schedules.ts';

/** The platform as the REST API knows it. */
export function createPlatform(context: PlatformContext): PlatformPort {
  return {
    authenticate: (key) => authenticate(context.pool, key),
    ...createRunPort(context),
    ...createSchedulePort(context),
    ...createApprovalPort(context),
    ...createAgentPort(context),
    ...createGovernancePort(context),
    ...createKnowledgePort(context),
    ...createArchivePort(context),
    ...createPluginPort(context),
    ...createModelKeyPort(context),
    listTools: async () => context.registry.listTools(),
    listModels: async () => context.gateway.models(),
    diagnose: async () => {
      const database = await diagnose({ db: context.pool, migrations, clock: context.clock, dataDir: context.dataDir, isEmbedded: context.isEmbedded });
      const checks = [...database, judgePlugins(await context.registry.listPlugins())];
      return { ok: checks.every(({ status }) => status !== 'problem'), checks };
    },
    checkReady: context.readiness.checkReady,
    checkLive: context.readiness.checkLive,
    renderMetrics: () => context.metrics.render(),
  };
}
