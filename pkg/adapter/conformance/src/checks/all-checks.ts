import type { Check } from '../check.ts';
import { agentChecks } from './agent-checks.ts';
import { handshakeChecks } from './handshake-checks.ts';
import { healthChecks } from './health-checks.ts';
import { launchChecks } from './launch-checks.ts';
import { stepChecks } from './step-checks.ts';
import { streamChecks } from './stream-checks.ts';
import { toolChecks } from './tool-checks.ts';
import { lastChecks, transportChecks } from './transport-checks.ts';

/** Every check, in the order in which they run and are shown. */
export const ALL_CHECKS: readonly Check[] = [...handshakeChecks, ...healthChecks, ...stepChecks, ...toolChecks, ...agentChecks, ...streamChecks, ...transportChecks, ...launchChecks, ...lastChecks];
