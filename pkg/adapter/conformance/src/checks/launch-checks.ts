import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { answerText, exitText, shorten } from '../answer-text.ts';
import type { Check, Seen } from '../check.ts';
import { kept, warning } from '../check.ts';
import { ConformanceError, broken } from '../conformance-error.ts';
import type { Peer, Target } from '../connect-peer.ts';
import { responseOf, valueOf } from '../expect-answer.ts';
import type { PluginExit, PluginProcess } from '../launch-plugin.ts';
import { expectWork, quickStep, startSlowStep } from '../slow-step.ts';
import type { Launcher, Subject } from '../subject.ts';
import { callTool, think } from '../subject.ts';
import { issueCertificates, withPemFiles } from '../test-certificates.ts';
import { expectCount } from './agent-checks.ts';

const section = 'How a plugin is started';
const POLL_MS = 25;
const SERVER_NAME = 'plugin.conformance.test';

export const launchChecks: readonly Check[] = [
  { name: 'launch.announces', promise: 'When it listens it prints {"openeaap_plugin":1,"listen":ADDRESS} as one line to standard output.', section, needs: ['launch'], run: expectAnnouncement },
  { name: 'launch.any_port', promise: 'Port 0 is any port; the line says which.', section, needs: ['launch'], apart: true, run: expectAnyPort },
  { name: 'launch.no_token', promise: 'Without OPENEAAP_PLUGIN_TOKEN no token is asked for.', section, needs: ['launch'], apart: true, run: expectNoToken },
  { name: 'launch.refuses_public', promise: 'Without a certificate an SDK refuses to listen on anything but loopback or a Unix socket.', section, needs: ['launch'], apart: true, run: expectRefusal },
  { name: 'launch.tls', promise: 'With OPENEAAP_PLUGIN_TLS_CERT and _KEY it speaks TLS, and no plain text.', section, needs: ['launch'], apart: true, run: expectTls },
  { name: 'launch.client_ca', promise: 'With OPENEAAP_PLUGIN_TLS_CLIENT_CA a client certificate of that authority is required.', section, needs: ['launch'], apart: true, run: expectClientCertificate },
  { name: 'launch.drain', promise: 'On SIGTERM it takes no new steps, finishes what it has and ends with exit code 0.', section, needs: ['launch', 'a slow step'], apart: true, run: expectDrain },
  { name: 'launch.drain_limit', promise: 'On SIGTERM it ends within 10 s, with exit code 0, whatever is under way.', section, needs: ['launch', 'a slow step'], apart: true, run: expectDrainLimit },
  { name: 'launch.crash_in_tool', promise: 'A process that ends in the middle of a tool step leaves a broken call; the next process answers.', section, needs: ['launch', 'tool crash'], run: expectToolCrash },
  { name: 'launch.crash_in_think', promise: 'A process that ends in the middle of a think leaves a broken call; the next process answers the same think.', section, needs: ['launch', 'a conformance agent that is a program'], run: expectThinkCrash },
  { name: 'launch.killed', promise: 'Killed in the middle of a step it leaves a broken call, and nothing behind that keeps the next process from its work.', section: 'Who does what', needs: ['launch', 'a slow step'], run: expectKilled },
  { name: 'launch.other_process', promise: 'The next think may go to another process: killed between any two, the run goes on.', section: 'Who does what', needs: ['launch', 'the conformance agent'], run: expectOtherProcess },
];

/** A check that needs one is not run without. */
function launcherOf({ launcher }: Subject): Launcher {
  if (launcher === null) throw new ConformanceError('usage', 'The plugin was not started by the kit.');
  return launcher;
}

async function expectAnnouncement(subject: Subject): Promise<Seen> {
  const process = launcherOf(subject).current();
  const said = await process.announced(0);
  const expected = `the line {"openeaap_plugin":1,"listen":"${process.asked}"} on standard output`;
  if (said === null) throw broken(expected, process.stdout() === '' ? 'nothing' : shorten(process.stdout()));
  if (!said.ok) throw broken(expected, `${shorten(said.line)}: ${said.why}`);
  if (said.listen !== process.asked) throw broken(expected, `"listen":"${shorten(said.listen)}"`);
  return kept(said.listen);
}

async function expectAnyPort(subject: Subject): Promise<Seen> {
  const instance = await launcherOf(subject).startAnother({ listen: '127.0.0.1:0' });
  try {
    const said = await instance.process.announced(0);
    if (said?.ok !== true || !/^127\.0\.0\.1:[1-9]\d*$/.test(said.listen)) throw broken('"listen":"127.0.0.1:PORT" with the port that it has', said === null ? 'no line' : said.ok ? said.listen : said.line);
    valueOf(await instance.peer.handshake([1]), `an answer to Handshake at ${said.listen}`);
    return kept(said.listen);
  } finally {
    await instance.close();
  }
}

async function expectNoToken(subject: Subject): Promise<Seen> {
  const instance = await launcherOf(subject).startAnother({ token: null });
  try {
    valueOf(await instance.peer.handshake([1]), 'an answer to Handshake without a token');
    return kept('answered');
  } finally {
    await instance.close();
  }
}

async function expectRefusal(subject: Subject): Promise<Seen> {
  const process = await launcherOf(subject).startUnconnected({ listen: '0.0.0.0:0' });
  const expected = 'an end with an exit code other than 0, and no line that it listens, for OPENEAAP_PLUGIN_LISTEN=0.0.0.0:0 without a certificate';
  try {
    const said = await process.announced(subject.timing.startMs);
    const exit = said === null ? await process.waitForExit(subject.timing.drainGraceMs) : null;
    if (exit !== null && exit.code !== 0) return kept(`exit code ${exit.code}`);
    const got = said !== null ? `it said that it listens: ${said.ok ? said.listen : shorten(said.line)}` : exit === null ? 'it went on' : 'exit code 0';
    // The promise is that of SDKs; a worker by hand should keep it, too.
    if (subject.offer.sdk === undefined) return warning(`expected ${expected}; got ${got}`);
    throw broken(expected, got);
  } finally {
    await process.kill();
  }
}

async function expectTls(subject: Subject): Promise<Seen> {
  const { ca, server } = issueCertificates(SERVER_NAME, new Date());
  return withPemFiles(server, async (files) => {
    const extra = { OPENEAAP_PLUGIN_TLS_CERT: files.cert, OPENEAAP_PLUGIN_TLS_KEY: files.key };
    const tls = { ca: Buffer.from(ca), cert: null, key: null, serverName: SERVER_NAME };
    const instance = await launcherOf(subject).startAnother({ listen: '127.0.0.1:0', extra, tls });
    try {
      valueOf(await instance.peer.handshake([1]), 'an answer to Handshake over TLS');
      await expectNoConnection(subject, instance.peer.target.address, null, 'in plain text');
      return kept('TLS, and no plain text');
    } finally {
      await instance.close();
    }
  });
}

async function expectClientCertificate(subject: Subject): Promise<Seen> {
  const { ca, server, client } = issueCertificates(SERVER_NAME, new Date());
  return withPemFiles({ ...server, ca }, async (files) => {
    const extra = { OPENEAAP_PLUGIN_TLS_CERT: files.cert, OPENEAAP_PLUGIN_TLS_KEY: files.key, OPENEAAP_PLUGIN_TLS_CLIENT_CA: files.ca ?? '' };
    const stranger = { ca: Buffer.from(ca), cert: null, key: null, serverName: SERVER_NAME };
    const instance = await launcherOf(subject).startAnother({ listen: '127.0.0.1:0', extra, tls: { ...stranger, cert: Buffer.from(client.cert), key: Buffer.from(client.key) } });
    try {
      valueOf(await instance.peer.handshake([1]), 'an answer to Handshake with a client certificate');
      await expectNoConnection(subject, instance.peer.target.address, stranger, 'without a client certificate');
      return kept('answered with a certificate, refused without');
    } finally {
      await instance.close();
    }
  });
}

async function expectNoConnection(subject: Subject, address: string, tls: Target['tls'], how: string): Promise<void> {
  const peer = subject.connect({ address, tls, token: null });
  try {
    const answer = await peer.handshake([1], { deadlineMs: subject.timing.healthMs });
    // A plugin that let us in would say UNAUTHENTICATED, since it has a token.
    if (answer.ok || answer.code === status.UNAUTHENTICATED) throw broken(`no connection ${how}`, 'one');
  } finally {
    peer.close();
  }
}

async function expectDrain(subject: Subject): Promise<Seen> {
  const instance = await launcherOf(subject).startAnother();
  const { peer, process } = instance;
  try {
    const ms = subject.timing.busyMs;
    const step = startSlowStep(subject, { ms, peer });
    const underWay = { yes: true };
    const answer = step.answer.finally(() => (underWay.yes = false));
    await step.begun();
    process.terminate();
    const refused = await waitForRefusal(subject, peer, () => underWay.yes);
    step.expectFinished(await answer);
    if (!refused) throw broken('new steps to be refused after SIGTERM while the last one is finished', `all were taken for ${ms} ms`);
    expectCleanExit(await process.waitForExit(subject.timing.drainMs + subject.timing.drainGraceMs), process);
    return kept('finished its step, took no other, exit code 0');
  } finally {
    await instance.close();
  }
}

/** Whether a new step was refused, in any way, for as long as `ask`. */
async function waitForRefusal(subject: Subject, peer: Peer, ask: () => boolean): Promise<boolean> {
  while (ask()) {
    const answer = await quickStep(subject, peer, subject.timing.busyMs);
    if (!answer.ok || answer.value.error !== undefined) return true;
    await sleep(POLL_MS);
  }
  return false;
}

async function expectDrainLimit(subject: Subject): Promise<Seen> {
  const { drainMs, drainGraceMs, longSleepMs } = subject.timing;
  const instance = await launcherOf(subject).startAnother();
  const stop = new AbortController();
  try {
    const step = startSlowStep(subject, { ms: longSleepMs, peer: instance.peer, signal: stop.signal });
    await step.begun();
    const since = Date.now();
    instance.process.terminate();
    expectCleanExit(await instance.process.waitForExit(drainMs + drainGraceMs), instance.process);
    return kept(`ended after ${((Date.now() - since) / 1_000).toFixed(1)} s`);
  } finally {
    stop.abort();
    await instance.close();
  }
}

function expectCleanExit(exit: PluginExit | null, process: PluginProcess): void {
  const expected = 'an end with exit code 0';
  if (exit === null) throw broken(expected, 'the process went on');
  if (exit.code !== 0) throw broken(expected, `${exitText(exit)}${process.stderr() === '' ? '' : `: ${shorten(process.stderr().trim().split('\n').at(-1) ?? '')}`}`);
}

async function expectToolCrash(subject: Subject): Promise<Seen> {
  const answer = await callTool(subject, 'conformance_crash', {});
  const seen = await expectBrokenCall(subject, answer);
  await launcherOf(subject).restart();
  await expectWork(subject);
  return kept(`${seen}; the next process answers`);
}

async function expectThinkCrash(subject: Subject): Promise<Seen> {
  const seen = await expectBrokenCall(subject, await think(subject, { do: 'crash' }));
  await launcherOf(subject).restart();
  responseOf(await think(subject, { do: 'finish', output: 1 }), 'a proposal of the next process');
  return kept(`${seen}; the next process answers`);
}

async function expectBrokenCall(subject: Subject, answer: Awaited<ReturnType<typeof think>>): Promise<string> {
  const expected = 'a broken call (UNAVAILABLE, INTERNAL or UNKNOWN) and the end of the process';
  if (answer.ok) throw broken(expected, answerText(answer));
  if (![status.UNAVAILABLE, status.INTERNAL, status.UNKNOWN].includes(answer.code)) throw broken(expected, answerText(answer));
  const exit = await launcherOf(subject).current().waitForExit(subject.timing.stopSeenMs);
  if (exit === null) throw broken(expected, 'the process goes on');
  return `${status[answer.code]}, ${exitText(exit)}`;
}

async function expectKilled(subject: Subject): Promise<Seen> {
  const step = startSlowStep(subject, { ms: subject.timing.longSleepMs });
  await step.begun();
  await launcherOf(subject).current().kill();
  const seen = await expectBrokenCall(subject, await step.answer);
  await launcherOf(subject).restart();
  await expectWork(subject);
  return kept(`${seen}; the next process answers`);
}

async function expectOtherProcess(subject: Subject): Promise<Seen> {
  const seen = await expectCount(subject, async (no) => {
    if (no > 1) await launcherOf(subject).restart();
    return subject.peer();
  });
  return kept(`${seen.detail} in three processes`);
}
