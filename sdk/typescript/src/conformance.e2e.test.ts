import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../../..');

test('a plugin of this SDK keeps every promise of the protocol', () => {
  const kit = path.join(ROOT, 'pkg/adapter/conformance/bin/openeaap-conformance.mjs');
  const worker = path.join(ROOT, 'sdk/typescript/dist/testing/conformance-worker.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [kit, '--strict', '--', process.execPath, worker], { cwd: ROOT, encoding: 'utf8', timeout: 120_000 });
  expect(`${stdout.split('\n').filter((line) => /^(?:FAIL|warn)|^ /.test(line)).join('\n')}${stderr}`).toBe('');
  expect(stdout).toMatch(/^\d{2,} kept, 0 broken/m);
  expect(status).toBe(0);
});
