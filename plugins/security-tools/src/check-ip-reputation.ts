import type { ToolSpec } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { checkSameIp, parseIp, readAnswer } from './parse-answer.ts';
import { IP_SCHEMA, objectSchema } from './schemas.ts';
import type { Ask, SecurityTool } from './security-tool.ts';
import { below, traceHeaders } from './security-tool.ts';

const PEER = 'The threat intelligence service';
const SECRET = 'THREAT_INTEL_KEY';
const MAX_TAGS = 32;

/** From the SOP for anomalous logins: 70 is an attack source, 40 wants a question to the user. */
const HIGH_SCORE = 70;
const MEDIUM_SCORE = 40;

const spec = (timeoutMs: number): ToolSpec => ({
  name: 'check_ip_reputation',
  version: '1.0.0',
  description:
    'Asks threat intelligence how dangerous an IP address is. Returns a score from 0 (harmless) to 100 (confirmed hostile), a risk and tags such as botnet or c2. An address without a record is an error, not a low risk. 查询 IP 地址的威胁信誉分。',
  inputSchema: objectSchema({ ip: IP_SCHEMA }, ['ip']),
  outputSchema: objectSchema(
    {
      ip: { type: 'string' },
      score: { type: 'number', minimum: 0, maximum: 100 },
      risk: { enum: ['low', 'medium', 'high'] },
      tags: { type: 'array', items: { type: 'string' }, maxItems: MAX_TAGS },
      source: { type: 'string', description: 'Who says so.' },
    },
    ['ip', 'score', 'risk', 'tags', 'source'],
  ),
  effect: 'read',
  idempotent: true,
  timeoutMs,
  secrets: [SECRET],
  untrustedOutput: true,
});

/** `GET {base}/v1/ip/{ip}` with `x-api-key`; answers `{ip, risk_score, tags, source?}`. */
export function createCheckIpReputation(base: URL, timeoutMs: number, ask: Ask): SecurityTool {
  return {
    spec: spec(timeoutMs),
    call: async ({ args }, context) => {
      const ip = parseIp(args['ip']);
      const key = context.secrets[SECRET] ?? '';
      if (key === '') throw new PlatformError('tool_failed', `The secret ${SECRET} is not set, so threat intelligence cannot be asked.`, { details: { secret: SECRET } });
      const headers = { ...traceHeaders(context), 'x-api-key': key };
      const reply = await ask({ peer: PEER, method: 'GET', url: below(base, 'v1', 'ip', ip), headers, signal: context.signal });
      if (reply.kind === 'not_found') {
        throw new PlatformError('tool_failed', `${PEER} has no record of ${ip}. Unknown does not mean harmless.`, { details: { ip } });
      }
      const answer = readAnswer(PEER, reply.body);
      checkSameIp(answer, ip);
      const score = answer.number('risk_score', { min: 0, max: 100 });
      return { ip, score, risk: toRisk(score), tags: answer.texts('tags', MAX_TAGS), source: answer.optionalText('source') ?? base.host };
    },
  };
}

function toRisk(score: number): 'low' | 'medium' | 'high' {
  if (score >= HIGH_SCORE) return 'high';
  return score >= MEDIUM_SCORE ? 'medium' : 'low';
}
