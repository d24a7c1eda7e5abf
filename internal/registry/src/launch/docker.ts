import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PlatformError, systemClock } from '@openeaap/kernel';
import { LABELS, toContainerEnvironment, toRunArguments } from './docker-arguments.ts';
import type { CommandResult } from './docker-command.ts';
import { readLines, runDocker } from './docker-command.ts';
import type { DockerDeps, DockerSettings } from './docker-settings.ts';
import { CONTAINER_PORT } from './docker-settings.ts';
import { probeTls } from './docker-probe.ts';
import type { Launched, LaunchedTls, LaunchRequest, Launcher } from './launcher.ts';

/** What the container said last, for the message when it ends. */
const TAIL_LINES = 5;
const LOOK_EVERY_MS = 100;
/** How long output may still come after the exit. */
const DRAIN_MS = 500;
/** How long the engine may take to answer a question. */
const ANSWER_MS = 10_000;

/**
 * A plugin as a container of the Docker engine on this machine, through its command line. The container gets a
 * certificate of its own and takes only ours; its port is on loopback. What an earlier start of this node has left
 * behind is removed before the first container is started.
 */
export function createDockerLauncher(settings: DockerSettings, deps: DockerDeps): Launcher {
  let swept: Promise<void> | null = null;
  return {
    launch: async (request, signal) => {
      const serverName = `${request.plugin.toLowerCase()}.plugins.openeaap`;
      const name = `openeaap-${request.plugin}-${request.replica}-${randomBytes(6).toString('hex')}`;
      // Arguments are checked before anything is written or started.
      toRunArguments(request, settings, deps, { name, tlsFolder: '/' });
      swept ??= removeOrphans(deps);
      await swept;
      const folder = await writeTls(deps, serverName);
      const child = spawn(deps.docker, toRunArguments(request, settings, deps, { name, tlsFolder: path.join(folder, 'tls') }), {
        // Of its own group: Ctrl-C at the platform's terminal is not the container's.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...toContainerEnvironment(request), ...deps.environment },
      });
      const exited = whenGone(child, { name, folder, deps, request });
      const stop = (graceMs: number): Promise<void> => stopContainer(name, graceMs, child, exited, deps);
      const tls: LaunchedTls = { ca: deps.authority.cert, ...clientOf(deps), serverName };
      try {
        const target = await waitForPort(name, tls, exited, request, signal, deps);
        return { target, tls, exited, stop } satisfies Launched;
      } catch (thrown) {
        await stop(0);
        throw thrown;
      }
    },
  };
}

function clientOf({ authority }: DockerDeps): Pick<LaunchedTls, 'clientCert' | 'clientKey'> {
  const { cert, key } = authority.issueClient('control plane');
  return { clientCert: cert, clientKey: key };
}

/**
 * The container may run as any user, so its files can be read by all; that no user of this machine reads them is seen
 * to by the folder around them, which the container does not have.
 */
async function writeTls({ authority }: DockerDeps, serverName: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'oea-tls-'));
  const inner = path.join(folder, 'tls');
  await mkdir(inner);
  const { cert, key } = authority.issueServer([serverName]);
  for (const [file, text] of Object.entries({ 'tls.crt': cert, 'tls.key': key, 'ca.crt': authority.cert })) {
    await writeFile(path.join(inner, file), text);
    await chmod(path.join(inner, file), 0o644);
  }
  await chmod(inner, 0o755);
  return folder;
}

interface Container {
  readonly name: string;
  readonly folder: string;
  readonly deps: DockerDeps;
  readonly request: LaunchRequest;
}

async function whenGone(child: ChildProcess, { name, folder, deps, request }: Container): Promise<string> {
  const last: string[] = [];
  const onLine = (line: string): void => {
    last.push(line);
    if (last.length > TAIL_LINES) last.shift();
    request.onOutput(line);
  };
  for (const stream of [child.stdout, child.stderr]) if (stream !== null) readLines(stream, onLine);
  const reason = await new Promise<string>((resolve) => {
    const tell = (code: number | null, signal: NodeJS.Signals | null): void => resolve(explainExit(request.plugin, code, signal, last.join(' | ')));
    child.once('error', (error) => resolve(cannotRun(error, deps, request.plugin)));
    child.once('close', tell);
    // Somebody else may hold its pipes open.
    child.once('exit', (code, signal) => void setTimeout(tell, DRAIN_MS, code, signal));
  });
  // Where only the command line has ended, the container has not.
  await runDocker(deps, ['rm', '--force', name], ANSWER_MS);
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  return reason;
}

function cannotRun(error: Error, deps: DockerDeps, plugin: string): string {
  const code = 'code' in error ? String(error.code) : error.name;
  return `The plugin "${plugin}" is an image, and the program "${deps.docker}" cannot be run (${code}). Install the Docker engine with its command line, or declare the plugin with "command" or "address".`;
}

/** Codes of `docker run`: 125 is the engine's own, 126 and 127 are about the program of the image. */
function explainExit(plugin: string, code: number | null, signal: NodeJS.Signals | null, said: string): string {
  const tail = said === '' ? '' : ` It said last: ${said}`;
  if (/Cannot connect to the Docker daemon|permission denied while trying to connect/i.test(said)) return `The Docker engine cannot be reached to start the plugin "${plugin}". Start it, set DOCKER_HOST, or let the user of the platform into the group docker.${tail}`;
  if (code === 125 && /manifest unknown|not found|pull access denied|No such image/i.test(said)) return `The image of the plugin "${plugin}" cannot be had. Correct \`image\`, build it here, or log in to its registry with \`docker login\`.${tail}`;
  if (code === 125 && /runtime/i.test(said)) return `The Docker engine does not know the runtime of the plugin "${plugin}". Install it there, or leave \`runtime_class\` out.${tail}`;
  if (code === 125) return `The Docker engine did not start the plugin "${plugin}".${tail}`;
  if (code === 126 || code === 127) return `The image of the plugin "${plugin}" has no program that can be run (exit code ${code}). Check its ENTRYPOINT.${tail}`;
  if (code === 137) return `The container of the plugin "${plugin}" was killed (exit code 137); if nobody stopped it, it needed more than its resources.memory.${tail}`;
  return `The container of the plugin "${plugin}" ended with ${signal ?? `exit code ${String(code)}`}${tail === '' ? ' and said nothing.' : `.${tail}`}`;
}

/** Resolves with the address of the container when it takes our certificate there. Errors: PlatformError `unavailable`, `cancelled`. */
async function waitForPort(name: string, tls: LaunchedTls, exited: Promise<string>, { plugin, startTimeoutMs }: LaunchRequest, signal: AbortSignal, deps: DockerDeps): Promise<string> {
  const gone = exited.then((reason) => Promise.reject(new PlatformError('unavailable', reason)));
  // Whoever waits below hears of it; when nobody waits any more it is no news.
  gone.catch(() => undefined);
  const until = Date.now() + startTimeoutMs;
  let target: string | null = null;
  let problem = 'its container was not started';
  while (!signal.aborted && Date.now() < until) {
    target ??= await Promise.race([findPort(name, deps), gone]);
    if (target !== null) {
      const answer = await Promise.race([probeTls(target, tls, Math.min(ANSWER_MS, until - Date.now())), gone]);
      if (answer === null) return target;
      problem = answer;
    }
    await Promise.race([systemClock.sleep(LOOK_EVERY_MS, signal), gone]);
  }
  if (signal.aborted) throw new PlatformError('cancelled', `The start of the plugin "${plugin}" was stopped.`);
  throw new PlatformError('unavailable', `The container of the plugin "${plugin}" did not serve within ${startTimeoutMs} ms: ${problem}. Does its program call serve()? A large image needs a higher start_timeout_ms, or to be pulled before.`);
}

/** null: the engine has not published it yet. */
async function findPort(name: string, deps: DockerDeps): Promise<string | null> {
  const { code, output } = await runDocker(deps, ['port', name, `${CONTAINER_PORT}/tcp`], ANSWER_MS);
  return code === 0 ? (/^127\.0\.0\.1:[1-9]\d{0,4}$/m.exec(output)?.[0] ?? null) : null;
}

async function stopContainer(name: string, graceMs: number, child: ChildProcess, exited: Promise<string>, deps: DockerDeps): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return void (await exited);
  const { code } = await runDocker(deps, ['stop', '-t', String(Math.ceil(graceMs / 1_000)), name], graceMs + ANSWER_MS);
  // There is no container yet: its image is being pulled.
  if (code !== 0) child.kill('SIGTERM');
  const ended = await Promise.race([exited.then(() => true), systemClock.sleep(ANSWER_MS).then(() => false)]);
  if (ended) return;
  // An engine that does not answer: at least nothing of ours hangs on it. The next start of this node removes the rest.
  child.kill('SIGKILL');
  child.stdout?.destroy();
  child.stderr?.destroy();
  await exited;
}

/** Containers that an earlier start of this node has left, of whatever plugin. */
async function removeOrphans(deps: DockerDeps): Promise<void> {
  const listed: CommandResult = await runDocker(deps, ['ps', '--all', '--no-trunc', '--filter', `label=${LABELS.node}=${deps.node}`, '--format', `{{.ID}} {{.Label "${LABELS.start}"}}`], ANSWER_MS);
  // An engine that cannot be asked will say why when it is told to start something.
  if (listed.code !== 0) return;
  const orphans = listed.output.split('\n').flatMap((line) => {
    const [id = '', start = ''] = line.trim().split(' ');
    return id === '' || start === deps.start ? [] : [id];
  });
  if (orphans.length > 0) await runDocker(deps, ['rm', '--force', ...orphans], ANSWER_MS);
}
