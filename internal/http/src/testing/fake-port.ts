import type { JsonObject, Run, RunEvent, RunEventType } from '@openeaap/kernel';
import { NO_USAGE, PlatformError } from '@openeaap/kernel';
import type { Caller, PlatformPort, StreamItem } from '../port.ts';
import type { Scope } from '../scope.ts';

export const RUN_ID = '01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b10';
export const AGENT_ID = '01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b11';
export const APPROVAL_ID = '01939c4e-7a30-7cc1-9d3b-5f0f1c3a2b12';
const AT = new Date('2026-11-22T08:00:00.123Z');

export function toCaller(userId: string, scopes: readonly Scope[]): Caller {
  return { principal: { tenantId: 'default', userId, groups: [], clearance: 2 }, scopes, keyId: `key-of-${userId}` };
}

const KEYS: Readonly<Record<string, Caller>> = {
  'key-all': toCaller('root', ['*']),
  'key-alice': toCaller('alice', ['runs:read', 'runs:write']),
};

/** A port of which a test gives just the functions whose answers it wants to decide. */
export function createFakePort(functions: Partial<PlatformPort>): PlatformPort {
  const known: Partial<PlatformPort> = { authenticate: async (key) => KEYS[key] ?? null, ...functions };
  return new Proxy(known as PlatformPort, {
    get: (target, name) =>
      Reflect.get(target, name) ??
      (async () => {
        throw new PlatformError('unsupported', `The test gives no ${String(name)}.`);
      }),
  });
}

export function toRun(over: Partial<Run> = {}): Run {
  return {
    tenantId: 'default',
    id: RUN_ID,
    agentId: AGENT_ID,
    agentName: 'soc-triage',
    agentVersion: '1.0.0',
    policyVersion: 'p1',
    principal: toCaller('alice', []).principal,
    traceId: '0af7651916cd43dd8448eb211c80319c',
    idempotencyKey: null,
    status: 'pending',
    input: 'hello',
    output: null,
    error: null,
    pauseReason: null,
    priority: 'normal',
    source: 'api',
    stepCount: 0,
    lastSeq: 1,
    usage: { ...NO_USAGE, costUsdMicros: 1_500 },
    startAt: null,
    cancelRequestedAt: null,
    createdAt: AT,
    startedAt: null,
    finishedAt: null,
    ...over,
  };
}

export function toEvent(seq: number, type: RunEventType, data: JsonObject): RunEvent {
  return { runId: RUN_ID, seq, type, data, at: AT };
}

const nothing = (): void => {};

/** A stream whose items the test sends when it wants; it ends with `end`, or when the reader aborts. */
export function createManualStream() {
  const queue: StreamItem[] = [];
  const state = { ended: false, aborted: false, afterSeq: -1, taken: 0 };
  let wake = nothing;
  const open: PlatformPort['openEvents'] = async (_caller, _runId, afterSeq, signal) => {
    state.afterSeq = afterSeq;
    signal.addEventListener('abort', () => {
      state.aborted = true;
      wake();
    });
    return read();
  };
  async function* read(): AsyncGenerator<StreamItem> {
    for (;;) {
      const item = queue.shift();
      if (state.aborted) return;
      if (item !== undefined) {
        state.taken += 1;
        yield item;
      } else if (state.ended) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  return {
    open,
    state,
    send: (...items: readonly StreamItem[]): void => {
      queue.push(...items);
      wake();
    },
    end: (): void => {
      state.ended = true;
      wake();
    },
  };
}
