import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const proto = readFileSync(path.join(root, 'api/proto/openeaap/runtime/v1/runtime.proto'), 'utf8').replace(/\/\/.*$/gm, '');

/** Section 11.1 of the architecture document, field for field. */
const DOCUMENT: Readonly<Record<string, readonly string[]>> = {
  ExecuteStepRequest: [
    'string run_id = 1', 'string step_id = 2', 'string agent_id = 3', 'map<string, string> trace_context = 4', 'string input_payload = 5',
    'map<string, string> ephemeral_credentials = 6', 'GovernanceConstraints constraints = 7',
  ],
  GovernanceConstraints: ['repeated string blocked_tools = 1', 'bool dry_run = 2', 'int32 max_tokens = 3'],
  ExecuteStepResponse: ['string output_payload = 1', 'repeated ToolCall audit_logs = 2', 'map<string, string> metadata = 3'],
};

/** The fields of one message, without those of messages in it. */
function fieldsOf(message: string): readonly string[] {
  const start = proto.indexOf(`message ${message} {`);
  if (start === -1) throw new Error(`there is no message ${message}`);
  const fields: string[] = [];
  let depth = 0;
  for (const line of proto.slice(start).split('\n')) {
    depth += (line.match(/\{/g) ?? []).length;
    if (depth === 1 && /=\s*\d+;/.test(line)) fields.push(line.trim().replace(/\s+/g, ' ').replace(/;$/, ''));
    depth -= (line.match(/\}/g) ?? []).length;
    if (depth === 0 && fields.length > 0) break;
  }
  return fields;
}

describe('the plugin protocol', () => {
  test('is in the package of the document, with its service', () => {
    expect(proto).toContain('package openeaap.runtime.v1;');
    for (const rpc of ['Handshake(HandshakeRequest) returns (HandshakeResponse)', 'ExecuteStep(ExecuteStepRequest) returns (ExecuteStepResponse)', 'HealthCheck(HealthCheckRequest) returns (HealthCheckResponse)']) {
      expect(proto).toContain(`rpc ${rpc};`);
    }
  });

  test.each(Object.entries(DOCUMENT))('%s has the document\'s fields unchanged, and what we add begins at 8', (message, expected) => {
    const fields = fieldsOf(message);
    expect(fields.slice(0, expected.length)).toEqual(expected);
    expect(fields.slice(expected.length).filter((added) => Number(/= (\d+)/.exec(added)?.[1]) < 8)).toEqual([]);
  });

  test('is lint-clean, breaks nothing of the release, and its TypeScript is what it gives', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/proto.mjs', '--check'], { cwd: root, encoding: 'utf8' });
    expect(`${stdout}${stderr}`).toBe('');
    expect(status).toBe(0);
  }, 60_000);
});
