import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { textAt } from '../e2e/harness/json.ts';

/**
 * Threat intelligence, CMDB and a firewall that outlive every server and count what was done to
 * them. A block counts from the moment at which its request is here, answered or not.
 */
export interface SideEffectSink {
  /** Point the platform here. */
  readonly env: Readonly<Record<string, string>>;
  /** Every request to block an address, repeats included, by idempotency key. */
  readonly requestsFor: (ip: string) => readonly string[];
  /** Requests to block, of all addresses. */
  readonly totalRequests: () => number;
  readonly addresses: () => readonly string[];
  readonly close: () => Promise<void>;
}

/** `delayMs` is asked once for each request: a product takes its time, and servers die meanwhile. */
export async function startSideEffectSink(delayMs: () => number = () => 0): Promise<SideEffectSink> {
  const blocked = new Map<string, string[]>();
  let requests = 0;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const [product = '', , , subject = ''] = (request.url ?? '').split('/').slice(1);
    const answer = product === 'firewall' && request.method === 'POST' ? block(textAt(JSON.parse(body), 'ip'), String(request.headers['idempotency-key'] ?? '')) : lookUp(product, decodeURIComponent(subject));
    await new Promise((resolve) => setTimeout(resolve, delayMs()));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  function block(ip: string, key: string): object {
    requests += 1;
    const keys = blocked.get(ip) ?? [];
    blocked.set(ip, [...keys, key]);
    return { ip, rule_id: `rule-${ip}`, duplicate: keys.includes(key) };
  }

  const server = createServer((request, response) => {
    // A client that was killed in the middle of its request has asked for nothing.
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    env: { THREAT_INTEL_URL: `${url}/intel`, THREAT_INTEL_KEY: 'intel-key-for-tests', CMDB_URL: `${url}/cmdb`, FIREWALL_URL: `${url}/firewall` },
    requestsFor: (ip) => blocked.get(ip) ?? [],
    totalRequests: () => requests,
    addresses: () => [...blocked.keys()],
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function lookUp(product: string, subject: string): object {
  return product === 'intel'
    ? { ip: subject, risk_score: 95, tags: ['botnet'], source: 'sink' }
    : { asset: subject, owner: 'Network Team', department: 'IT', criticality: 'high', environment: 'prod', contact: 'noc' };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
