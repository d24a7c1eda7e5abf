import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { exitText, shorten } from './answer-text.ts';
import { ConformanceError } from './conformance-error.ts';
import type { Peer, Target } from './connect-peer.ts';
import type { PluginProcess } from './launch-plugin.ts';
import { launchPlugin } from './launch-plugin.ts';
import type { Instance, Launcher, LaunchWish } from './subject.ts';
import type { Timing } from './timing.ts';

export interface LauncherOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly timing: Timing;
  readonly connect: (target: Target) => Peer;
  /** Ends the wait for a plugin that starts. */
  readonly signal: AbortSignal;
}

/** A launcher with the process under test running. `close` ends whatever was started and still runs. */
export interface OpenLauncher extends Launcher {
  readonly peer: () => Peer;
  readonly close: () => Promise<void>;
}

const POLL_MS = 50;

/** Errors: ConformanceError unreachable, with the end of what the program wrote. */
export async function openLauncher(options: LauncherOptions): Promise<OpenLauncher> {
  const running = new Set<PluginProcess>();
  const state = { closed: false };
  const past: PluginProcess[] = [];

  const startUnconnected = async (wish: LaunchWish = {}): Promise<PluginProcess> => {
    const token = wish.token === undefined ? randomBytes(24).toString('base64url') : wish.token;
    const started = await launchPlugin({ command: options.command, cwd: options.cwd, environment: options.environment, listen: wish.listen ?? null, token, extra: wish.extra ?? {} });
    running.add(started);
    const kill = async (): Promise<void> => {
      await started.kill();
      running.delete(started);
    };
    if (state.closed) {
      // A check that was left behind may still want one.
      await kill();
      throw new ConformanceError('unreachable', 'No plugin is started any more.');
    }
    return { ...started, kill };
  };
  const startAnother = async (wish: LaunchWish = {}): Promise<Instance> => {
    const started = await startUnconnected(wish);
    try {
      const peer = await connectTo(started, wish, options);
      return { peer, process: started, close: async () => closeBoth(peer, started) };
    } catch (thrown) {
      await started.kill();
      throw thrown;
    }
  };

  let instance = await startAnother();
  return {
    current: () => instance.process,
    peer: () => instance.peer,
    outputs: () => [...past, instance.process].map((one) => ({ stdout: one.stdout(), stderr: one.stderr(), token: one.token })),
    restart: async () => {
      await instance.close();
      past.push(instance.process);
      instance = await startAnother();
    },
    startAnother,
    startUnconnected,
    close: async () => {
      state.closed = true;
      instance.peer.close();
      await Promise.all([...running].map((one) => one.kill()));
    },
  };
}

async function closeBoth(peer: Peer, started: PluginProcess): Promise<void> {
  peer.close();
  await started.kill();
}

async function connectTo(started: PluginProcess, wish: LaunchWish, { timing, connect, signal }: LauncherOptions): Promise<Peer> {
  const address = await waitForAddress(started, timing, signal);
  const peer = connect({ address, tls: wish.tls ?? null, token: started.token });
  try {
    await peer.ready(timing.connectMs);
    return peer;
  } catch {
    peer.close();
    throw new ConformanceError('unreachable', `The plugin said that it listens on ${address}, and no connection to it could be made${wish.tls == null ? '' : ' by TLS'} within ${timing.connectMs} ms.${endOf(started)}`);
  }
}

/**
 * Where it says that it listens, or where it was told to when it says nothing: a plugin without the
 * line breaks one promise and can be tested for all the others.
 */
async function waitForAddress(started: PluginProcess, timing: Timing, signal: AbortSignal): Promise<string> {
  const until = Date.now() + timing.startMs;
  let said = await started.announced(POLL_MS);
  while (said === null && started.exit() === null && !isSocket(started.asked) && Date.now() < until && !signal.aborted) said = await started.announced(POLL_MS);
  if (signal.aborted) throw new ConformanceError('unreachable', 'Stopped before the plugin listened.');
  // With its socket there, the line is due.
  said ??= await started.announced(timing.lineMs);
  const exit = started.exit();
  if (exit !== null) throw new ConformanceError('unreachable', `The plugin ended before it listened: ${exitText(exit)}.${endOf(started)}`);
  return said?.ok === true ? said.listen.replace(/^0\.0\.0\.0:/, '127.0.0.1:') : started.asked;
}

const isSocket = (address: string): boolean => address.startsWith('unix:') && existsSync(address.slice('unix:'.length));

/** The last lines that the plugin wrote, for the person who has to find out. */
function endOf(started: PluginProcess): string {
  const text = `${started.stdout()}${started.stderr()}`.trim();
  return text === '' ? ' It wrote nothing.' : ` The end of its output:\n${text.split('\n').slice(-8).map((line) => `  ${shorten(line)}`).join('\n')}`;
}
