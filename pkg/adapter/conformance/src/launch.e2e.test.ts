import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Report } from './report.ts';
import { runConformance } from './run-conformance.ts';
import { buildWorkerProgram } from './testing/build-worker-program.ts';
import type { Timing } from './timing.ts';

/** A plugin may finish its steps for this long here, in place of 10 s; the program is told. */
const DRAIN_MS = 2_500;
const QUICK: Partial<Timing> = { startMs: 5_000, lineMs: 400, connectMs: 2_000, shortDeadlineMs: 100, busyMs: 1_200, longSleepMs: 30_000, drainMs: DRAIN_MS, drainGraceMs: 2_000 };

let program = '';
beforeAll(async () => {
  program = await buildWorkerProgram();
}, 30_000);
afterAll(async () => {
  if (program !== '') await rm(path.dirname(program), { recursive: true, force: true });
});

function testProgram(args: readonly string[], only: readonly string[] = []): Promise<Report> {
  const environment = { ...process.env, TEST_DRAIN_MS: String(DRAIN_MS) };
  return runConformance({ plugin: { kind: 'launched', command: [process.execPath, program, ...args], cwd: path.dirname(program), environment }, agent: null, only, timing: QUICK, signal: new AbortController().signal });
}

const broken = (report: Report): readonly string[] => report.results.filter(({ verdict }) => verdict === 'failed').map(({ check }) => check.name).sort();

const explained = (report: Report): string => report.results.filter(({ verdict }) => verdict === 'failed' || verdict === 'warned').map(({ check, verdict, detail, got }) => `${check.name} ${verdict}: ${detail} ${got}`).join('\n');

describe('a plugin that the kit starts', () => {
  test('and that keeps every promise passes everything: nothing is skipped but what does not apply', async () => {
    const report = await testProgram([]);
    expect(explained(report)).toBe('');
    const skipped = report.results.filter(({ verdict }) => verdict === 'skipped').map(({ check }) => check.name).sort();
    expect(skipped).toEqual(['model.max_tokens', 'model.token', 'model.tools', 'stream.not_served']);
  }, 30_000);

  test.concurrent.each<readonly [string, readonly string[], readonly string[]]>([
    ['chatters', ['launch.announces', 'launch.any_port', 'launch.stdout'], ['launch.announces', 'launch.any_port', 'launch.stdout']],
    ['chatters-later', ['launch.stdout'], ['launch.announces', 'launch.stdout']],
    ['says-nothing', ['launch.announces', 'launch.any_port'], ['launch.announces', 'launch.any_port', 'launch.stdout']],
    ['says-what-it-was-told', ['launch.any_port'], ['launch.announces', 'launch.any_port']],
    ['listens-anywhere', ['launch.refuses_public'], ['launch.refuses_public']],
    ['ignores-tls', ['launch.client_ca', 'launch.tls'], ['launch.tls', 'launch.client_ca']],
    ['takes-any-client', ['launch.client_ca'], ['launch.tls', 'launch.client_ca']],
    ['dies-at-once', ['launch.drain'], ['launch.drain', 'launch.drain_limit']],
    ['ends-badly', ['launch.drain', 'launch.drain_limit'], ['launch.drain', 'launch.drain_limit']],
    ['never-ends', ['launch.drain_limit'], ['launch.drain', 'launch.drain_limit']],
    ['takes-steps', ['launch.drain'], ['launch.drain', 'launch.drain_limit']],
    ['ignores-token', ['token.compared', 'token.required'], ['token', 'launch.no_token']],
    ['wants-a-token', ['launch.no_token'], ['token', 'launch.no_token']],
    ['logs-secrets', ['secret.not_logged'], ['secret', 'tool.secret']],
    ['survives-a-crash', ['launch.crash_in_tool'], ['launch.crash_in_tool']],
  ])('%s: found out by %j', async (defect, expected, only) => {
    const report = await testProgram([defect], only);
    expect({ broken: broken(report), how: explained(report) }).toEqual({ broken: [...expected].sort(), how: expect.any(String) });
  }, 30_000);

  test('whose agent thinks by a model goes on in other processes as well', async () => {
    const report = await testProgram(['', 'model'], ['launch.other_process', 'agent.state', 'model']);
    expect(explained(report)).toBe('');
    expect(report.results.map(({ verdict }) => verdict)).toEqual(['passed', 'passed', 'passed', 'passed', 'passed']);
  }, 20_000);
});

describe('a command that is no plugin', () => {
  const run = (command: readonly string[]): Promise<Report> => runConformance({ plugin: { kind: 'launched', command, cwd: '/', environment: process.env }, agent: null, only: [], timing: { ...QUICK, startMs: 1_500, connectMs: 500 }, signal: new AbortController().signal });

  test.concurrent('that ends at once is unreachable, and its last words are told', async () => {
    await expect(run([process.execPath, '-e', 'console.error("no such module"); process.exitCode = 3'])).rejects.toMatchObject({ code: 'unreachable', message: expect.stringMatching(/exit code 3[\s\S]*no such module/) });
  });

  test.concurrent('that does not exist is unreachable, and is named', async () => {
    await expect(run(['/no/such/program'])).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining('/no/such/program') });
  });

  test.concurrent('that never listens is unreachable when the time is over, and is ended', async () => {
    await expect(run([process.execPath, '-e', 'console.error("pid " + process.pid); setInterval(() => {}, 1000)'])).rejects.toSatisfy((error: Error) => {
      const pid = Number(/pid (\d+)/.exec(error.message)?.[1]);
      expect(error).toMatchObject({ code: 'unreachable' });
      expect(() => process.kill(pid, 0)).toThrow('ESRCH');
      return true;
    });
  });
});

describe('a run that is stopped', () => {
  const isGone = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  };

  test.each([
    ['while the plugin starts', 'setInterval(() => {}, 1000)'],
    // Its child holds the pipes: the run is over only when that has ended, too.
    ['with a plugin behind a wrapper', `require('node:child_process').spawn(process.execPath, [process.env.PROGRAM], { stdio: 'inherit' })`],
  ])('%s leaves no process behind', async (_name, script) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'openeaap-stop-'));
    const pidFile = path.join(folder, 'pid');
    const stop = new AbortController();
    const command = [process.execPath, '-e', `${script}; require('node:fs').writeFileSync(process.env.PID_FILE, String(process.pid))`];
    const environment = { ...process.env, PID_FILE: pidFile, PROGRAM: program };
    const run = runConformance({ plugin: { kind: 'launched', command, cwd: folder, environment }, agent: null, only: ['launch.drain_limit', 'tool'], timing: { ...QUICK, startMs: 60_000 }, signal: stop.signal }).catch((error: unknown) => error);
    await expect.poll(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '').toBe(true);
    stop.abort();
    expect(await run).toMatchObject({ code: 'unreachable' });
    expect(isGone(Number(readFileSync(pidFile, 'utf8')))).toBe(true);
    await rm(folder, { recursive: true, force: true });
  }, 20_000);
});
