import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { EXAMPLE, ROOT } from './places.ts';

interface Report {
  readonly checks: readonly { readonly name: string; readonly verdict: string }[];
}

// How a process starts, listens and ends is the SDK's, and tested with it; the rest is what this example could get wrong.
const GROUPS = ['handshake', 'health', 'step', 'agent', 'model', 'stream', 'token', 'secret', 'launch.announces', 'launch.other_process', 'launch.stdout'];
const OF_THE_AGENT = /^(agent|model|stream)\./;
/** A check of plugins that do not stream. */
const NOT_OURS = 'stream.not_served';
const LIMIT_MS = 120_000;

test('as a process, driven over gRPC by the conformance kit, it keeps every promise about agents', async () => {
  const kit = path.join(ROOT, 'pkg/adapter/conformance/bin/openeaap-conformance.mjs');
  const args = [kit, '--json', ...GROUPS.flatMap((group) => ['--only', group]), '--', process.execPath, 'dist/src/main.js'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: EXAMPLE, timeout: LIMIT_MS }).catch((error: { readonly stdout: string }) => error);
  const { checks } = JSON.parse(stdout) as Report;
  assert.deepEqual(checks.filter(({ verdict }) => verdict === 'failed'), []);
  const ofTheAgent = checks.filter(({ name }) => OF_THE_AGENT.test(name) && name !== NOT_OURS);
  assert.ok(ofTheAgent.length > 15);
  assert.deepEqual(ofTheAgent.filter(({ verdict }) => verdict !== 'passed'), []);
});
