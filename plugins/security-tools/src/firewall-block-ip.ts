import { BlockList, isIP } from 'node:net';
import type { ToolSpec } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { checkSameIp, parseIp, readAnswer } from './parse-answer.ts';
import { IP_SCHEMA, objectSchema } from './schemas.ts';
import type { Ask, SecurityTool } from './security-tool.ts';
import { below, traceHeaders } from './security-tool.ts';

const PEER = 'The firewall';
const REASON_CHARS = 1_024;
/** A day: what the blocking SOP gives a scan. A model that says nothing must not block for ever. */
const DEFAULT_MINUTES = 1_440;
/** 30 days, the longest that the SOP allows. */
const MAX_MINUTES = 43_200;

const spec = (timeoutMs: number): ToolSpec => ({
  name: 'firewall_block_ip',
  version: '1.0.0',
  description:
    'Blocks one IP address at the border firewall for a time. This cuts off everyone behind the address, so it needs evidence. Calling it again for the same step changes nothing more. 在边界防火墙上封禁一个 IP。',
  inputSchema: objectSchema(
    {
      ip: IP_SCHEMA,
      reason: { type: 'string', description: 'Why, with the evidence; read by the approver and kept in the firewall rule.', minLength: 1, maxLength: REASON_CHARS },
      duration_minutes: { type: 'integer', description: 'How long to block.', minimum: 1, maximum: MAX_MINUTES, default: DEFAULT_MINUTES },
    },
    ['ip', 'reason'],
  ),
  outputSchema: objectSchema(
    {
      ip: { type: 'string' },
      status: { enum: ['blocked', 'would_block'], description: 'would_block: a dry run; nothing was changed.' },
      rule_id: { type: ['string', 'null'] },
      duplicate: { type: 'boolean', description: 'True when this very call had been carried out before.' },
    },
    ['ip', 'status', 'rule_id', 'duplicate'],
  ),
  effect: 'destructive',
  idempotent: true,
  timeoutMs,
});

/** `POST {base}/v1/blocks` with `Idempotency-Key`; answers `{ip, rule_id, duplicate}`. In a dry run the firewall is not called. */
export function createFirewallBlockIp(base: URL, timeoutMs: number, ask: Ask): SecurityTool {
  const unblockable = createUnblockable();
  return {
    spec: spec(timeoutMs),
    call: async ({ args, dryRun, idempotencyKey }, context) => {
      const ip = parseIp(args['ip']);
      const body = { ip, reason: parseReason(args['reason']), duration_minutes: parseMinutes(args['duration_minutes']) };
      if (unblockable.check(ip, isIP(ip) === 4 ? 'ipv4' : 'ipv6')) {
        throw new PlatformError('tool_failed', `${ip} is not the address of a remote host and cannot be blocked.`, { details: { ip } });
      }
      if (dryRun) return { ip, status: 'would_block', rule_id: null, duplicate: false };
      const headers = { ...traceHeaders(context), 'idempotency-key': idempotencyKey };
      const reply = await ask({ peer: PEER, method: 'POST', url: below(base, 'v1', 'blocks'), headers, body, signal: context.signal });
      if (reply.kind === 'not_found') throw new PlatformError('tool_failed', `${PEER} has no block interface at the configured address.`);
      const answer = readAnswer(PEER, reply.body);
      checkSameIp(answer, ip);
      return { ip, status: 'blocked', rule_id: answer.text('rule_id'), duplicate: answer.flag('duplicate') };
    },
  };
}

/** Addresses whose block would hit every host or the firewall itself. Private ones may be hostile and are left to the policy. */
function createUnblockable(): BlockList {
  const list = new BlockList();
  list.addSubnet('0.0.0.0', 8, 'ipv4');
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addSubnet('224.0.0.0', 3, 'ipv4');
  list.addAddress('::', 'ipv6');
  list.addAddress('::1', 'ipv6');
  list.addSubnet('ff00::', 8, 'ipv6');
  return list;
}

function parseReason(value: unknown): string {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= REASON_CHARS) return value;
  throw new PlatformError('tool_failed', `"reason" is a text of 1 to ${REASON_CHARS} characters.`, { details: { field: 'reason' } });
}

function parseMinutes(value: unknown): number {
  if (value === undefined) return DEFAULT_MINUTES;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_MINUTES) return value;
  throw new PlatformError('tool_failed', `"duration_minutes" is a whole number from 1 to ${MAX_MINUTES}.`, { details: { field: 'duration_minutes' } });
}
