import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../../..');

test('the worker keeps every promise of the protocol that a runtime without tools can be asked for', () => {
  const kit = path.join(ROOT, 'pkg/adapter/conformance/bin/openeaap-conformance.mjs');
  const worker = path.join(ROOT, 'cmd/worker-runtime/bin/openeaap-worker-runtime.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [kit, '--', process.execPath, worker], { cwd: ROOT, encoding: 'utf8', timeout: 120_000 });
  expect(`${stdout.split('\n').filter((line) => /^(?:FAIL|warn)|^ /.test(line)).join('\n')}${stderr}`).toBe('');
  expect(stdout).toMatch(/^\d{2,} kept, 0 broken/m);
  expect(status).toBe(0);
});
