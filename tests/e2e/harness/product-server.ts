import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { textAt } from './json.ts';

/** Stand-ins for threat intelligence, CMDB and firewall that count what was really done to them. */
export interface ProductServer {
  /** Point the platform here. */
  readonly env: Readonly<Record<string, string>>;
  /** Changes the answer about one IP address or asset, for one product. */
  readonly behave: (product: Product, subject: string, behaviour: ProductBehaviour) => void;
  /** Every request to block, repeats included. */
  readonly blockRequests: (ip?: string) => readonly Block[];
  /** Rules really made: one for each address and idempotency key. */
  readonly effects: (ip?: string) => readonly Block[];
  readonly lookups: (subject: string) => number;
  /** W3C trace context of the latest request about a subject. */
  readonly traceparent: (subject: string) => string;
  readonly close: () => Promise<void>;
}

export type Product = 'intel' | 'cmdb' | 'firewall';

export interface Block {
  readonly ip: string;
  readonly key: string;
}

export type ProductBehaviour =
  | { readonly kind: 'score'; readonly score: number; readonly tags?: readonly string[] }
  | { readonly kind: 'asset'; readonly owner: string }
  | { readonly kind: 'hang' }
  | { readonly kind: 'status'; readonly status: number }
  /** So many times the status, then as usual. */
  | { readonly kind: 'fail_first'; readonly times: number; readonly status: number }
  | { readonly kind: 'text'; readonly text: string }
  /** Does it, and tells when it may answer. */
  | { readonly kind: 'hold'; readonly until: Promise<unknown> };

export async function startProductServer(): Promise<ProductServer> {
  const behaviours = new Map<string, ProductBehaviour>();
  const lookups = new Map<string, number>();
  const traces = new Map<string, string>();
  const requests: Block[] = [];
  const rules = new Map<string, Block>();
  const server = createServer((request, response) => void serve(request, response));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    const [product = '', , , tail = ''] = (request.url ?? '').split('/').slice(1);
    if (product === 'firewall' && request.method !== 'POST') return json(response, { status: 'ok' });
    const subject = product === 'firewall' ? textAt(JSON.parse(body), 'ip') : decodeURIComponent(tail);
    const count = (lookups.get(subject) ?? 0) + 1;
    lookups.set(subject, count);
    traces.set(subject, String(request.headers['traceparent'] ?? ''));
    const key = String(request.headers['idempotency-key'] ?? '');
    if (product === 'firewall') requests.push({ ip: subject, key });
    const behaviour = behaviours.get(`${product} ${subject}`);
    const usual = (): void => json(response, product === 'firewall' ? block(subject, key) : lookup(product, subject, behaviour));
    switch (behaviour?.kind) {
      case 'hang':
        return;
      case 'status':
        return json(response, { error: 'scripted' }, behaviour.status);
      case 'fail_first':
        return count <= behaviour.times ? json(response, { error: 'scripted' }, behaviour.status) : usual();
      case 'text':
        return void response.writeHead(200, { 'content-type': 'application/json' }).end(behaviour.text);
      case 'hold': {
        const done = block(subject, key);
        await behaviour.until;
        return json(response, done);
      }
      case 'score':
      case 'asset':
      case undefined:
        return usual();
    }
  }

  function block(ip: string, key: string): object {
    const id = `${ip} ${key}`;
    const duplicate = rules.has(id);
    rules.set(id, { ip, key });
    return { ip, rule_id: `rule-${[...rules.keys()].indexOf(id) + 1}`, duplicate };
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    env: { THREAT_INTEL_URL: `${url}/intel`, THREAT_INTEL_KEY: 'intel-key-for-tests', CMDB_URL: `${url}/cmdb`, FIREWALL_URL: `${url}/firewall` },
    behave: (product, subject, behaviour) => void behaviours.set(`${product} ${subject}`, behaviour),
    blockRequests: (ip) => requests.filter((one) => ip === undefined || one.ip === ip),
    effects: (ip) => [...rules.values()].filter((one) => ip === undefined || one.ip === ip),
    lookups: (subject) => lookups.get(subject) ?? 0,
    traceparent: (subject) => traces.get(subject) ?? '',
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function lookup(product: string, subject: string, behaviour: ProductBehaviour | undefined): object {
  if (product === 'intel') {
    const known = behaviour?.kind === 'score' ? behaviour : { score: 95, tags: ['botnet'] };
    return { ip: subject, risk_score: known.score, tags: known.tags ?? [], source: 'stand-in' };
  }
  return { asset: subject, owner: behaviour?.kind === 'asset' ? behaviour.owner : 'Network Team', department: 'IT', criticality: 'high', environment: 'prod', contact: 'noc' };
}

function json(response: ServerResponse, document: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
