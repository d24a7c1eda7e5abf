import type { JsonObject } from '@openeaap/kernel';
import type { SimulatedReply, SimulatedRequest, SimulatedRoute } from './simulated-server.ts';
import { badRequest, notFound } from './simulated-server.ts';

interface Alert {
  readonly id: string;
  readonly rule: string;
  readonly severity: 'low' | 'medium' | 'high' | 'critical';
  readonly title: string;
  readonly description: string;
  readonly source_ip: string;
  readonly user: string;
  readonly asset: string;
  readonly occurred_at: string;
}

/** Sample alerts, as a SIEM would push them. The addresses are those that the simulated threat intelligence knows. */
export const ALERTS: readonly Alert[] = [
  {
    id: 'alert-1001',
    rule: '异常登录',
    severity: 'high',
    title: 'VPN 异常登录：账号 zhangwei 从境外地址登录',
    description: '账号 zhangwei 于 02:14 从 1.2.3.4 登录 vpn-gw-01，此前一小时内失败 412 次，该地址过去 30 天未出现。',
    source_ip: '1.2.3.4',
    user: 'zhangwei',
    asset: 'vpn-gw-01',
    occurred_at: '2026-01-15T02:14:09+08:00',
  },
  {
    id: 'alert-1002',
    rule: 'brute_force',
    severity: 'high',
    title: 'Brute force against bastion-01',
    description: '1,180 failed SSH logins for 64 user names from 198.51.100.7 within 20 minutes; no success.',
    source_ip: '198.51.100.7',
    user: 'root',
    asset: 'bastion-01',
    occurred_at: '2026-01-15T03:40:00+08:00',
  },
  {
    id: 'alert-1003',
    rule: '异常登录',
    severity: 'medium',
    title: '非工作时间登录：账号 alice 登录邮箱',
    description: '账号 alice 于 22:51 从 203.0.113.50 登录 mail-01，多因素认证通过，设备为已登记的 laptop-alice。',
    source_ip: '203.0.113.50',
    user: 'alice',
    asset: 'mail-01',
    occurred_at: '2026-01-15T22:51:30+08:00',
  },
  {
    id: 'alert-1004',
    rule: 'beaconing',
    severity: 'critical',
    title: 'Beaconing from ci-runner-07',
    description: 'ci-runner-07 connects to 1.2.3.4:443 every 60 s (jitter 4 %) since 01:00; 312 connections of about 240 bytes.',
    source_ip: '1.2.3.4',
    user: 'svc-ci',
    asset: 'ci-runner-07',
    occurred_at: '2026-01-15T06:12:00+08:00',
  },
  {
    id: 'alert-1005',
    rule: 'phishing_reported',
    severity: 'medium',
    title: '员工上报钓鱼邮件',
    description: '员工上报主题为“年终奖确认”的邮件，链接指向 203.0.113.9 上的仿冒登录页，共 37 人收到，2 人点击。',
    source_ip: '203.0.113.9',
    user: 'sunli',
    asset: 'mail-01',
    occurred_at: '2026-01-15T09:03:12+08:00',
  },
];

const PUSH_TIMEOUT_MS = 10_000;

export interface Siem {
  readonly route: SimulatedRoute;
  /** Pushes that the platform accepted. */
  readonly pushed: () => number;
}

/**
 * `GET /v1/alerts`, `GET /v1/alerts/{id}`, and `POST /v1/alerts/{id}/push {target, api_key,
 * occurrence?}`, which sends the alert to `{target}/api/v1/triggers/siem` as a SIEM would, with the alert's id as
 * `Idempotency-Key`. An `occurrence` makes it a new alert of the same kind; without one it is the same alert again.
 */
export function createSiem(fetchOut: typeof fetch): Siem {
  let pushed = 0;
  const push = async (alert: Alert, request: SimulatedRequest): Promise<SimulatedReply> => {
    const { target, api_key: apiKey, occurrence } = request.body;
    if (typeof target !== 'string' || !/^https?:\/\//.test(target) || !URL.canParse(target)) return badRequest('target is not an http(s) URL');
    if (typeof apiKey !== 'string' || apiKey === '') return badRequest('api_key is missing');
    if (occurrence !== undefined && (typeof occurrence !== 'string' || !/^[\w.-]{1,64}$/.test(occurrence))) return badRequest('occurrence is not a short name');
    const reply = await sendAlert(fetchOut, { alert: occurrence === undefined ? alert : { ...alert, id: `${alert.id}.${occurrence}` }, target, apiKey });
    if (reply.status >= 200 && reply.status < 300) pushed += 1;
    return reply;
  };
  return {
    pushed: () => pushed,
    route: (request) => {
      const [version, kind, id, action, ...rest] = request.path;
      if (version !== 'v1' || kind !== 'alerts' || rest.length > 0) return notFound('resource');
      if (request.method === 'GET' && id === undefined) return { status: 200, body: { alerts: ALERTS.map((each) => ({ ...each })) } };
      const alert = ALERTS.find((candidate) => candidate.id === id);
      if (alert === undefined) return notFound('alert');
      if (request.method === 'GET' && action === undefined) return { status: 200, body: { ...alert } };
      return request.method === 'POST' && action === 'push' ? push(alert, request) : notFound('resource');
    },
  };
}

/** The platform's own status comes back to the caller; 502 when it cannot be reached. */
async function sendAlert(
  fetchOut: typeof fetch,
  { alert, target, apiKey }: { readonly alert: Alert; readonly target: string; readonly apiKey: string },
): Promise<SimulatedReply> {
  try {
    const response = await fetchOut(`${target.replace(/\/+$/, '')}/api/v1/triggers/siem`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}`, 'idempotency-key': `siem:${alert.id}` },
      body: JSON.stringify(alert),
      redirect: 'error',
      signal: AbortSignal.timeout(PUSH_TIMEOUT_MS),
    });
    return { status: response.status, body: { pushed: response.ok, platform_status: response.status, platform_answer: await readAnswer(response) } };
  } catch {
    return { status: 502, body: { pushed: false, error: 'the platform cannot be reached' } };
  }
}

async function readAnswer(response: Response): Promise<JsonObject | string> {
  const text = await response.text();
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return text.slice(0, 1_024);
  }
}
