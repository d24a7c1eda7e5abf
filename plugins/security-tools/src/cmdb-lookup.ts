import type { JsonObject, ToolSpec } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { readAnswer } from './parse-answer.ts';
import { objectSchema } from './schemas.ts';
import type { Ask, SecurityTool } from './security-tool.ts';
import { below, traceHeaders } from './security-tool.ts';

const PEER = 'The CMDB';
/** A host name, an asset tag or an IP address; never a path. */
const ASSET = '^[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,252}[A-Za-z0-9])?$';
const FIELDS = ['owner', 'department', 'criticality', 'environment', 'contact'] as const;
const nullableText: JsonObject = { type: ['string', 'null'] };

const spec = (timeoutMs: number): ToolSpec => ({
  name: 'cmdb_lookup',
  version: '1.0.0',
  description:
    'Looks an asset up in the CMDB by host name, asset tag or IP address: its owner, department, criticality, environment and contact. found is false when the CMDB does not know it. 查询资产负责人与重要程度。',
  inputSchema: objectSchema({ asset: { type: 'string', description: 'Host name, asset tag or IP address, e.g. vpn-gw-01.', pattern: ASSET, maxLength: 254 } }, ['asset']),
  outputSchema: objectSchema(
    {
      asset: { type: 'string' },
      found: { type: 'boolean' },
      owner: nullableText,
      department: nullableText,
      criticality: nullableText,
      environment: nullableText,
      contact: nullableText,
    },
    ['asset', 'found', ...FIELDS],
  ),
  effect: 'read',
  idempotent: true,
  timeoutMs,
});

/** `GET {base}/v1/assets/{asset}`; 404 is an answer: the asset is not known. */
export function createCmdbLookup(base: URL, timeoutMs: number, ask: Ask): SecurityTool {
  const form = new RegExp(ASSET);
  return {
    spec: spec(timeoutMs),
    call: async ({ args }, context) => {
      const asset = args['asset'];
      if (typeof asset !== 'string' || !form.test(asset)) {
        throw new PlatformError('tool_failed', '"asset" is not a host name, asset tag or IP address.', { details: { field: 'asset' } });
      }
      const reply = await ask({ peer: PEER, method: 'GET', url: below(base, 'v1', 'assets', asset), headers: traceHeaders(context), signal: context.signal });
      if (reply.kind === 'not_found') return { asset, found: false, ...Object.fromEntries(FIELDS.map((field) => [field, null])) };
      const answer = readAnswer(PEER, reply.body);
      return { asset, found: true, ...Object.fromEntries(FIELDS.map((field) => [field, answer.optionalText(field)])) };
    },
  };
}
