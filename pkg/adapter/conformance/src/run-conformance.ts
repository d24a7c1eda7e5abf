import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { HandshakeResponse } from '@openeaap/proto';
import { exitText, statusText } from './answer-text.ts';
import { ALL_CHECKS } from './checks/all-checks.ts';
import { readingToolOf } from './checks/step-checks.ts';
import type { Check, Need } from './check.ts';
import { ConformanceError, broken } from './conformance-error.ts';
import type { Peer, Target } from './connect-peer.ts';
import { connectPeer } from './connect-peer.ts';
import { createLeakWatch } from './leak-watch.ts';
import { startModelDouble } from './model/model-double.ts';
import type { OpenLauncher } from './open-launcher.ts';
import { openLauncher } from './open-launcher.ts';
import type { Report, Result } from './report.ts';
import { canBeSlow } from './slow-step.ts';
import type { Subject, TestedAgent } from './subject.ts';
import { PREFIX, newMarker, thinkRequest, withToken } from './subject.ts';
import { TIMING } from './timing.ts';
import type { Timing } from './timing.ts';

export interface ConformanceOptions {
  /** A plugin that runs, or one that the kit starts. */
  readonly plugin: { readonly kind: 'running'; readonly target: Target } | { readonly kind: 'launched'; readonly command: readonly string[]; readonly cwd: string; readonly environment: Readonly<Record<string, string | undefined>> };
  /** Which agent to test; null: `conformance`, else the only one. */
  readonly agent: string | null;
  /** Names or groups of checks; empty: all. */
  readonly only: readonly string[];
  readonly timing?: Partial<Timing>;
  /** Ends everything that was started. */
  readonly signal: AbortSignal;
}

/** The agent that is tested unless another is named. */
const FIXTURE_AGENT = 'conformance';
/** Processes beside the one under test. */
const APART_MAX = 2;

/**
 * Tests one plugin. Resolves with a report, however bad. Errors: ConformanceError unreachable (there
 * is nothing to test), usage (`only` names nothing).
 */
export async function runConformance(options: ConformanceOptions): Promise<Report> {
  const checks = chooseChecks(options.only);
  const timing: Timing = { ...TIMING, ...options.timing };
  const watch = createLeakWatch();
  const connect = (target: Target): Peer => connectPeer(target, watch, timing);
  const model = await startModelDouble();
  let launcher: OpenLauncher | null = null;
  let running: Peer | null = null;
  try {
    if (options.plugin.kind === 'launched') launcher = await openLauncher({ ...options.plugin, timing, connect, signal: options.signal });
    else running = await connectRunning(connect(options.plugin.target), timing);
    const peer = (): Peer => launcher?.peer() ?? (running as Peer);
    const offer = await firstHandshake(peer());
    const base: Subject = { peer, connect, offer, agent: null, model, watch, timing, launcher };
    const subject: Subject = { ...base, agent: await chooseAgent(base, options.agent) };
    const results = await runChecks(subject, checks, options.signal);
    return { address: peer().target.address, launched: launcher !== null, offer, agent: subject.agent, results };
  } finally {
    running?.close();
    await launcher?.close();
    await model.close();
  }
}

function chooseChecks(only: readonly string[]): readonly Check[] {
  const named = (name: string) => (check: Check): boolean => check.name === name || check.name.startsWith(`${name}.`);
  const unknown = only.find((name) => !ALL_CHECKS.some(named(name)));
  if (unknown !== undefined) throw new ConformanceError('usage', `There is no check "${unknown}". --list shows all of them.`);
  return only.length === 0 ? ALL_CHECKS : ALL_CHECKS.filter((check) => only.some((name) => named(name)(check)));
}

async function connectRunning(peer: Peer, timing: Timing): Promise<Peer> {
  try {
    await peer.ready(timing.connectMs);
    return peer;
  } catch (thrown) {
    peer.close();
    throw thrown;
  }
}

async function firstHandshake(peer: Peer): Promise<HandshakeResponse> {
  const answer = await peer.handshake([1]);
  if (answer.ok) return answer.value;
  const cure = answer.code === status.UNAUTHENTICATED ? ' Pass the token of the plugin with --token-env.' : '';
  throw new ConformanceError('unreachable', `The plugin at ${peer.target.address} does not answer Handshake: ${statusText(answer)}.${cure}`);
}

/** Errors: usage, when an agent is named that is not there. */
async function chooseAgent(subject: Subject, wanted: string | null): Promise<TestedAgent | null> {
  const names = subject.offer.agents.map(({ name }) => name);
  if (wanted !== null && !names.includes(wanted)) throw new ConformanceError('usage', `The plugin hosts no agent "${wanted}". It hosts: ${names.join(', ') || 'none'}.`);
  const name = wanted ?? (names.includes(FIXTURE_AGENT) ? FIXTURE_AGENT : names.length === 1 ? names[0] : undefined);
  return name === undefined ? null : { name, nature: await natureOf({ ...subject, agent: { name, nature: 'other' } }) };
}

/** Asks it for an output: who asks the model for that thinks by a model, who gives it without thinks by itself. */
async function natureOf(subject: Subject): Promise<TestedAgent['nature']> {
  const output = newMarker();
  const { request, token } = thinkRequest(subject, { do: 'finish', output });
  const strangers = subject.model.strangers();
  const answer = await withToken(subject, token, () => subject.peer().step(request));
  // One that asks with the wrong token asks as well; model.token is going to say so.
  if (subject.model.requestsOf(token).length > 0 || subject.model.strangers() > strangers) return 'model';
  if (subject.agent?.name === FIXTURE_AGENT) return 'program';
  return answer.ok && (answer.value.proposal?.output ?? '').includes(output) ? 'program' : 'other';
}

async function runChecks(subject: Subject, checks: readonly Check[], signal: AbortSignal): Promise<readonly Result[]> {
  const [apart, others] = [checks.filter((check) => check.apart === true), checks.filter((check) => check.apart !== true)];
  const queue = [...apart].reverse();
  const work = async (): Promise<readonly Result[]> => {
    const results: Result[] = [];
    for (let check = queue.pop(); check !== undefined; check = queue.pop()) results.push(await runCheck(subject, check, signal));
    return results;
  };
  const all = await Promise.all([runInOrder(subject, others, signal), ...Array.from({ length: APART_MAX }, work)]);
  const found = new Map(all.flat().map((result) => [result.check.name, result]));
  return checks.flatMap(({ name }) => found.get(name) ?? []);
}

async function runInOrder(subject: Subject, checks: readonly Check[], signal: AbortSignal): Promise<readonly Result[]> {
  const results: Result[] = [];
  let gone: string | null = null;
  for (const check of checks) {
    if (gone !== null) {
      results.push({ check, verdict: 'failed', reason: null, detail: gone, expected: 'a plugin that answers', got: gone, durationMs: 0 });
      continue;
    }
    const result = await runCheck(subject, check, signal);
    const end = result.verdict === 'failed' ? await reviveIfGone(subject) : null;
    results.push(end === null ? result : { ...result, got: `${result.got}; after it ${end.what}` });
    if (end?.final === true) gone = end.what;
  }
  return results;
}

/** A check that fails may leave a dead plugin behind, which the others need not suffer for. null: it lives. */
async function reviveIfGone({ peer, launcher, timing }: Subject): Promise<{ readonly what: string; readonly final: boolean } | null> {
  const exit = launcher?.current().exit() ?? null;
  if (exit === null && (await peer().handshake([1], { deadlineMs: timing.connectMs })).ok) return null;
  const what = exit === null ? 'the plugin did not answer any more' : `the process had ended (${exitText(exit)})`;
  if (launcher === null) return { what, final: true };
  try {
    await launcher.restart();
    return { what, final: false };
  } catch (thrown) {
    return { what: `${what}, and could not be started again${thrown instanceof Error ? `: ${thrown.message}` : ''}`, final: true };
  }
}

async function runCheck(subject: Subject, check: Check, signal: AbortSignal): Promise<Result> {
  if (signal.aborted) throw new ConformanceError('unreachable', 'Stopped before all checks were made.');
  const missing = check.needs.map((need) => missingOf(subject, need)).find((one) => one !== null) ?? null;
  const base = { check, reason: null, expected: '', got: '', durationMs: 0 };
  if (missing !== null) return { ...base, verdict: 'skipped', ...missing };
  const since = Date.now();
  try {
    const { kind, detail } = await unlessTooLong(check.run(subject), subject.timing.checkMs, signal);
    const durationMs = Date.now() - since;
    if (kind === 'inapplicable') return { ...base, verdict: 'skipped', reason: 'not_applicable', detail, durationMs };
    return { ...base, verdict: kind === 'kept' ? 'passed' : 'warned', detail, durationMs };
  } catch (thrown) {
    if (signal.aborted) throw new ConformanceError('unreachable', 'Stopped before all checks were made.');
    const { expected, got, message } = thrown instanceof ConformanceError ? thrown : broken('the check to run to its end', String(thrown));
    return { ...base, verdict: 'failed', detail: message, expected: expected === '' ? 'the plugin to be there' : expected, got: got === '' ? message : got, durationMs: Date.now() - since };
  }
}

async function unlessTooLong<T>(work: Promise<T>, limitMs: number, signal: AbortSignal): Promise<T> {
  const done = new AbortController();
  const stop = AbortSignal.any([done.signal, signal]);
  try {
    return await Promise.race([
      work,
      sleep(limitMs, undefined, { signal: stop }).then(
        () => Promise.reject(broken(`the check to be over within ${limitMs} ms`, 'it was not')),
        () => Promise.reject(new ConformanceError('unreachable', 'Stopped.')),
      ),
    ]);
  } finally {
    done.abort();
  }
}

/** Why a check cannot be made; null: nothing is missing. */
function missingOf(subject: Subject, need: Need): { readonly reason: 'not_offered' | 'not_applicable'; readonly detail: string } | null {
  const { offer, agent } = subject;
  const notOffered = (detail: string) => ({ reason: 'not_offered', detail }) as const;
  const notApplicable = (detail: string) => ({ reason: 'not_applicable', detail }) as const;
  switch (need) {
    case 'a reading tool':
      return readingToolOf(subject) === null ? notOffered('the plugin offers no tool that only reads') : null;
    case 'a slow step':
      return canBeSlow(subject) ? null : notOffered('the plugin offers no conformance_sleep and no agent that follows {"do": "sleep"}');
    case 'an agent':
      return agent === null ? notOffered(noAgent(offer)) : null;
    case 'the conformance agent':
      return agent === null ? notOffered(noAgent(offer)) : agent.nature === 'other' ? notOffered(`the agent ${agent.name} neither asks the model nor follows {"do": ...}`) : null;
    case 'a conformance agent that is a program':
      return agent === null ? notOffered(noAgent(offer)) : agent.nature === 'program' ? null : notApplicable(`the agent ${agent.name} is no program that follows {"do": ...}`);
    case 'an agent that thinks by a model':
      return agent?.nature === 'model' ? null : notApplicable('no agent that asks the model');
    case 'streaming':
      return offer.streaming ? null : notApplicable('the plugin does not stream');
    case 'no streaming':
      return offer.streaming ? notApplicable('the plugin streams') : null;
    case 'a token':
      return subject.peer().target.token === null ? notApplicable('no token is given; --token-env or -- COMMAND') : null;
    case 'launch':
      return subject.launcher === null ? notApplicable('the plugin is not started by the kit; -- COMMAND') : null;
    default: {
      const name = `${PREFIX}${need.slice('tool '.length)}`;
      return offer.tools.some((tool) => tool.name === name) ? null : notOffered(`the plugin offers no ${name}`);
    }
  }
}

const noAgent = ({ agents }: HandshakeResponse): string => (agents.length === 0 ? 'the plugin hosts no agent' : `the plugin hosts ${agents.length} agents; --agent picks one`);
