import type { JsonObject } from '@openeaap/kernel';
import { PlatformError, isJsonObject } from '@openeaap/kernel';
import type { PlatformClient, ShownEvent } from './platform-client.ts';
import { textOf } from './platform-client.ts';
import type { Colors } from './show-event.ts';
import { showEvent } from './show-event.ts';
import type { Simulators } from './simulators/start-simulators.ts';

/**
 * The flagship job of document section 7, from outside through the API: the simulated SIEM pushes
 * an alert, a run triages it, the block waits for an approval, a (scripted) approver gives it, the
 * simulated firewall acts once, the outcome is fed back and the audit is verified.
 */
export interface FlagshipOptions {
  readonly url: string;
  readonly siemKey: string;
  readonly operator: PlatformClient;
  readonly approver: PlatformClient;
  readonly simulators: Simulators;
  readonly colors: Colors;
  readonly print: (line: string) => void;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** Makes the alert a new one; the same again would be the same run. */
  readonly occurrence: string;
  readonly signal: AbortSignal;
}

export interface FlagshipResult {
  readonly runId: string;
  /** What was not as expected; empty when all was. */
  readonly surprises: readonly string[];
  readonly seconds: number;
}

const ALERT = 'alert-1001';
const RUN_LIMIT_MS = 180_000;

export async function runFlagship(options: FlagshipOptions): Promise<FlagshipResult> {
  const startedAt = options.clock();
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(RUN_LIMIT_MS)]);
  const show = (lines: readonly string[]): void => lines.forEach((line) => options.print(`  ${((options.clock() - startedAt) / 1_000).toFixed(2).padStart(6)}  ${line}`));
  const say = (kind: string, text: string): void => show([`${options.colors.bold(kind.padEnd(11))} ${text}`]);

  const blocksBefore = options.simulators.state().firewallEffects;
  say('alert', `${ALERT} "VPN 异常登录 / anomalous login" pushed by the SIEM ${options.colors.dim('[simulated]')}`);
  const runId = await pushAlert(options, ALERT, options.occurrence);
  const again = await pushAlert(options, ALERT, options.occurrence);
  say('again', again === runId ? 'the same alert once more: the same run, not a second one' : options.colors.red('the same alert became a second run'));

  const seen: ShownEvent[] = [];
  for await (const event of options.operator.events(runId, signal)) {
    seen.push(event);
    show(showEvent(event, options.colors));
    if (event.type === 'governance_intervention' && typeof event.data['approval_id'] === 'string') await approve(options, event.data['approval_id']);
  }
  const feedback = await options.operator.post(`/runs/${runId}/feedback`, { score: 1, category: 'triage' });
  say('feedback', `stored; a row of the preference data set: ${textOf(feedback['preference_pair_id'] ?? 'none')}`);
  const audit = await options.operator.post('/audit/verify', {});
  say('audit', `${audit['ok'] === true ? options.colors.green('chain verified') : options.colors.red('CHAIN BROKEN')}: ${textOf(audit['rows'])} rows in ${textOf(audit['chains'])} chain(s)`);
  const run = await options.operator.get(`/runs/${runId}`);

  const surprises = findSurprises({ run, seen, audit, feedback, sameRun: again === runId, blocks: options.simulators.state().firewallEffects - blocksBefore });
  return { runId, surprises, seconds: (options.clock() - startedAt) / 1_000 };
}

/** A second alert, whose block is left for the visitor to decide. A model may see no reason to block; then nothing waits. */
export async function leaveOneWaiting(options: Pick<FlagshipOptions, 'url' | 'siemKey' | 'operator' | 'simulators' | 'occurrence' | 'signal'>): Promise<{ readonly runId: string; readonly isHeld: boolean }> {
  const runId = await pushAlert(options, 'alert-1002', options.occurrence);
  const waited = new AbortController();
  let isHeld = false;
  const signal = AbortSignal.any([options.signal, waited.signal, AbortSignal.timeout(RUN_LIMIT_MS)]);
  for await (const event of options.operator.events(runId, signal)) {
    isHeld = event.type === 'run_paused';
    if (isHeld) break;
  }
  // After the loop: aborted in the middle of it, the stream would end in an error.
  waited.abort();
  return { runId, isHeld };
}

async function pushAlert(options: Pick<FlagshipOptions, 'simulators' | 'url' | 'siemKey' | 'occurrence'>, alert: string, occurrence: string): Promise<string> {
  const response = await fetch(`${options.simulators.siemUrl}/v1/alerts/${alert}/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ target: options.url, api_key: options.siemKey, occurrence }),
  });
  const body: unknown = await response.json();
  const answer = isJsonObject(body) ? body['platform_answer'] : undefined;
  if (!isJsonObject(answer) || typeof answer['run_id'] !== 'string') throw new PlatformError('internal', `The platform did not take the alert: ${JSON.stringify(body)}`);
  return answer['run_id'];
}

/** Decides as a person would: reads the approval and answers exactly that call. */
async function approve(options: FlagshipOptions, approvalId: string): Promise<void> {
  const approval = await options.approver.get(`/approvals/${approvalId}`);
  await options.approver.post(`/approvals/${approvalId}/decide`, {
    verdict: 'approve',
    call_hash: textOf(approval['call_hash']),
    comment: 'reputation is bad and the asset is a VPN gateway (scripted approver of the demo)',
  });
}

interface Observed {
  readonly run: JsonObject;
  readonly seen: readonly ShownEvent[];
  readonly audit: JsonObject;
  readonly feedback: JsonObject;
  readonly sameRun: boolean;
  readonly blocks: number;
}

function findSurprises({ run, seen, audit, feedback, sameRun, blocks }: Observed): readonly string[] {
  const called = seen.filter((event) => event.type === 'tool_call').map((event) => event.data['tool']);
  const checks: readonly (readonly [boolean, string])[] = [
    [sameRun, 'the same alert must be one run'],
    [run['status'] === 'completed', `the run must complete, but it is ${textOf(run['status'])}`],
    [seen.some((event) => event.type === 'knowledge_retrieved'), 'SOP passages must be retrieved'],
    [called.includes('check_ip_reputation') && called.includes('cmdb_lookup'), 'threat intelligence and CMDB must be asked'],
    [seen.some((event) => event.type === 'governance_intervention'), 'the block must be held for approval'],
    [called.includes('firewall_block_ip'), 'the block must be made after the approval'],
    [blocks === 1, `the firewall must act exactly once, but it acted ${blocks} times`],
    [Array.isArray(run['lineage']) && run['lineage'].length > 0, 'the conclusion must name its sources'],
    [feedback['preference_pair_id'] !== null, 'the feedback must become a row of the data set'],
    [audit['ok'] === true, 'the audit must verify'],
  ];
  return checks.flatMap(([holds, text]) => (holds ? [] : [text]));
}
