import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { startRealVllm } from '../testing/real-vllm.ts';
import { describeVllm } from '../testing/vllm-suite.ts';

/**
 * The real vLLM, on CPU, with a tiny model: docs/vllm.md says how to install it. It is gigabytes, so
 * it is not part of CI, where the double stands in, under the same suite.
 */
const program = process.env['OPENEAAP_TEST_VLLM'] ?? '';
const deployments = fileURLToPath(new URL('../../../../deployments/', import.meta.url));

if (program === '') process.stderr.write('SKIPPED: the tests against a real vLLM. Set OPENEAAP_TEST_VLLM to the path of a vllm (docs/vllm.md).\n');

describe.skipIf(program === '')('a real vLLM', () => {
  describeVllm('on CPU', () => startRealVllm(program));

  it('knows every flag of our deployments', async () => {
    const { stdout: help } = await promisify(execFile)(program, ['serve', '--help=all'], { maxBuffer: 16_777_216, timeout: 120_000 });
    const known = new Set(help.match(/--[a-z][\w-]*/g));
    const script = await readFile(`${deployments}vllm/serve.sh`, 'utf8');
    const [statefulSet] = parseAllDocuments(await readFile(`${deployments}kubernetes/vllm.yaml`, 'utf8')).map((document) => JSON.stringify(document.toJS()));
    const used = [...(script.replace(/^ *#.*$/gm, '').match(/--[a-z][\w-]*/g) ?? []), ...(statefulSet?.match(/--[a-z][\w-]*/g) ?? [])];
    expect(used.length).toBeGreaterThan(30);
    expect(used.filter((flag) => !known.has(flag))).toEqual([]);
  }, 180_000);
});
