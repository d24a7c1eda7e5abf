import type { Reply } from '../e2e/harness/api-client.ts';

/** How a client finds a node: an address and its key, or null while none is up. */
export type FindNode = () => { readonly url: string; readonly apiKey: string } | null;

export interface PatientClient {
  readonly get: (path: string) => Promise<Reply>;
  readonly post: (path: string, body: object, headers?: Readonly<Record<string, string>>) => Promise<Reply>;
  /** Requests that had to be sent again: refused, cut off, or told to come back. */
  readonly retries: () => number;
}

const TRY_LIMIT_MS = 10_000;
/** Longer than any outage that the chaos makes, on a slow machine too. */
const GIVE_UP_MS = 300_000;
/** Between tries: many clients that come back at once are a second outage. */
const WAIT_MS = { first: 100, longest: 2_000 } as const;

/**
 * Sends the same request until somebody answers, as a client of a real platform does. What it sends may be done twice,
 * so a request that is not safe to repeat carries an idempotency key.
 */
export function createPatientClient(findNode: FindNode): PatientClient {
  let retries = 0;

  async function send(path: string, init: RequestInit): Promise<Reply> {
    const deadline = performance.now() + GIVE_UP_MS;
    for (let waitMs: number = WAIT_MS.first; ; waitMs = Math.min(waitMs * 2, WAIT_MS.longest)) {
      const reply = await sendOnce(findNode(), path, init);
      if (reply !== null) return reply;
      if (performance.now() > deadline) throw new Error(`nobody answered ${init.method ?? 'GET'} ${path} within ${GIVE_UP_MS} ms`);
      retries += 1;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  return {
    get: (path) => send(path, {}),
    post: (path, body, headers = {}) => send(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }),
    retries: () => retries,
  };
}

/** null: send it again. */
async function sendOnce(node: ReturnType<FindNode>, path: string, init: RequestInit): Promise<Reply | null> {
  if (node === null) return null;
  try {
    const headers = { ...(init.headers as Record<string, string> | undefined), authorization: `Bearer ${node.apiKey}` };
    const response = await fetch(`${node.url}/api/v1${path}`, { ...init, headers, signal: AbortSignal.timeout(TRY_LIMIT_MS) });
    const text = await response.text();
    if (response.status === 503 || response.status === 502) return null;
    return { status: response.status, headers: response.headers, body: JSON.parse(text) as unknown };
  } catch {
    return null;
  }
}
