import type { Migration } from '../migrate.ts';
import { controlPlane } from './0001_control_plane.ts';
import { knowledge } from './0002_knowledge.ts';
import { fleet } from './0003_fleet.ts';
import { approvalVotes } from './0004_approvals.ts';
import { operations } from './0005_operations.ts';
import { endedRuns } from './0006_ended_runs.ts';
import { schedules } from './0007_schedules.ts';
import { plugins } from './0008_plugins.ts';
import { commitRows } from './0009_commit_rows.ts';
import { modelGateway } from './0010_model_gateway.ts';
import { semanticCache } from './0011_semantic_cache.ts';

/** Every migration, oldest first. One that has been released is never changed. */
export const migrations: readonly Migration[] = [controlPlane, knowledge, fleet, approvalVotes, operations, endedRuns, schedules, plugins, commitRows, modelGateway, semanticCache];
