import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PlatformError } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { createHttpApp } from './app.ts';
import type { ArchiveQuery, AuditEntry, CreateAgentRequest, CreateRunRequest, DecideRequest, FeedbackRequest, PageRequest, PlatformPort } from './port.ts';
import { AGENT_ID, APPROVAL_ID, createFakePort, RUN_ID, toRun } from './testing/fake-port.ts';

const apps: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

function createApp(functions: Partial<PlatformPort> = {}) {
  const app = createHttpApp(createFakePort(functions), { version: '0.1.0' });
  apps.push(app);
  return app;
}

const ROOT = { authorization: 'Bearer key-all' };
const ALICE = { authorization: 'Bearer key-alice' };
const createRunUrl = '/api/v1/agents/soc-triage/runs';

/** An app that remembers the run that it was asked for. */
function createRunApp(replayed = false) {
  const asked: CreateRunRequest[] = [];
  const app = createApp({
    createRun: async (_caller, request) => {
      asked.push(request);
      return { run: toRun({ traceId: request.trace.traceId }), replayed };
    },
  });
  return { app, asked };
}

describe('authentication', () => {
  it('refuses a request without a key: 401 and how to send one', async () => {
    const answer = await createApp().inject({ url: '/api/v1/runs' });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="openeaap"');
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.json()).toMatchObject({ type: 'urn:openeaap:error:unauthenticated', code: 'unauthenticated', status: 401, instance: '/api/v1/runs', cure: expect.stringContaining('Authorization: Bearer') });
  });

  it.each([{ authorization: 'Bearer nobody' }, { 'x-api-key': 'nobody' }, { authorization: `Bearer ${'x'.repeat(5_000)}` }])('refuses an unknown key', async (headers) => {
    const answer = await createApp().inject({ url: '/api/v1/runs', headers });
    expect(answer.statusCode).toBe(401);
    expect(answer.body).not.toContain('nobody');
  });

  it('takes the key from x-api-key too', async () => {
    const app = createApp({ listRuns: async () => ({ items: [], nextCursor: null }) });
    expect((await app.inject({ url: '/api/v1/runs', headers: { 'x-api-key': 'key-all' } })).json()).toEqual({ items: [], next_cursor: null });
  });

  it('refuses a key without the scope of the route, and names it', async () => {
    const answer = await createApp().inject({ method: 'POST', url: '/api/v1/policies/reload', headers: ALICE });
    expect(answer.statusCode).toBe(403);
    expect(answer.json()).toMatchObject({ code: 'permission_denied', scope: 'policies:write', detail: 'This API key lacks the scope policies:write.' });
  });

  it('asks for a key before it reads a body', async () => {
    const answer = await createApp().inject({ method: 'POST', url: createRunUrl, headers: { 'content-type': 'application/json' }, payload: '{' });
    expect(answer.statusCode).toBe(401);
  });

  it('needs a key on every path under /api/v1', async () => {
    const app = createApp();
    await app.ready();
    const { paths } = app.swagger();
    for (const [path, methods] of Object.entries(paths ?? {}).filter(([name]) => name.startsWith('/api/v1'))) {
      for (const method of Object.keys(methods)) {
        const answer = await app.inject({ method: method.toUpperCase() as 'GET', url: path.replaceAll(/\{\w+\}/g, RUN_ID) });
        expect([path, answer.statusCode]).toEqual([path, 401]);
      }
    }
  });
});

describe('POST /agents/{agent_id}/runs', () => {
  const section161 = { input: '分析 IP 1.2.3.4 的威胁等级', user_id: 'user-123', stream: false, idempotency_key: 'req-uuid-v4' };

  it('takes the request of the document, section 16.1', async () => {
    const { app, asked } = createRunApp();
    const answer = await app.inject({ method: 'POST', url: createRunUrl, headers: ROOT, payload: section161 });
    expect(answer.statusCode).toBe(202);
    expect(answer.headers['location']).toBe(`/api/v1/runs/${RUN_ID}`);
    expect(answer.json()).toEqual({
      run_id: RUN_ID,
      status: 'pending',
      trace_id: answer.headers['x-trace-id'],
      agent_id: AGENT_ID,
      agent_version: '1.0.0',
      start_at: null,
      created_at: '2026-11-22T08:00:00.123Z',
      replayed: false,
    });
    expect(asked).toMatchObject([{ agentRef: 'soc-triage', input: section161.input, userId: 'user-123', idempotencyKey: 'req-uuid-v4' }]);
  });

  it('marks the answer to a repeated idempotency key', async () => {
    const answer = await createRunApp(true).app.inject({ method: 'POST', url: createRunUrl, headers: ROOT, payload: section161 });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['idempotency-replayed']).toBe('true');
    expect(answer.json()).toMatchObject({ replayed: true });
  });

  it('takes the idempotency key from the header, and refuses two that differ', async () => {
    const { app, asked } = createRunApp();
    const headers = { ...ROOT, 'idempotency-key': 'k1' };
    expect((await app.inject({ method: 'POST', url: createRunUrl, headers, payload: { input: 'x' } })).statusCode).toBe(202);
    expect((await app.inject({ method: 'POST', url: createRunUrl, headers, payload: { input: 'x', idempotency_key: 'k1' } })).statusCode).toBe(202);
    expect(asked.map((request) => request.idempotencyKey)).toEqual(['k1', 'k1']);
    const answer = await app.inject({ method: 'POST', url: createRunUrl, headers, payload: { input: 'x', idempotency_key: 'k2' } });
    expect(answer.json()).toMatchObject({ status: 400, code: 'invalid_input', field: 'idempotency_key' });
    expect((await app.inject({ method: 'POST', url: createRunUrl, headers: { ...ROOT, 'idempotency-key': 'k'.repeat(256) }, payload: { input: 'x' } })).statusCode).toBe(400);
  });

  it('passes on when the run begins: a time, a delay, or at once', async () => {
    const { app, asked } = createRunApp();
    for (const start of [{ start_at: '2026-12-01T09:00:00+08:00' }, { delay_s: 90 }, { delay_s: 0 }, {}]) {
      expect((await app.inject({ method: 'POST', url: createRunUrl, headers: ROOT, payload: { input: 'x', ...start } })).statusCode).toBe(202);
    }
    expect(asked.map((request) => request.start)).toEqual([{ kind: 'at', at: new Date('2026-12-01T01:00:00Z') }, { kind: 'after', delayMs: 90_000 }, null, null]);
  });

  it('runs for another user only for a key that may act for others', async () => {
    const { app, asked } = createRunApp();
    const own = await app.inject({ method: 'POST', url: createRunUrl, headers: ALICE, payload: { input: 'x', user_id: 'alice' } });
    expect(own.statusCode).toBe(202);
    expect(asked[0]?.userId).toBeNull();
    const other = await app.inject({ method: 'POST', url: createRunUrl, headers: ALICE, payload: { input: 'x', user_id: 'bob' } });
    expect(other.json()).toMatchObject({ status: 403, code: 'permission_denied', field: 'user_id', scope: 'act_for_others' });
    expect(asked).toHaveLength(1);
  });

  it('continues the trace of the caller, and ignores a malformed one', async () => {
    const { app, asked } = createRunApp();
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const answer = await app.inject({ method: 'POST', url: createRunUrl, headers: { ...ROOT, traceparent: `00-${traceId}-00f067aa0ba902b7-01` }, payload: { input: 'x' } });
    expect(answer.headers['x-trace-id']).toBe(traceId);
    expect(asked[0]?.trace).toEqual({ traceId, parentSpanId: '00f067aa0ba902b7' });
    await app.inject({ method: 'POST', url: createRunUrl, headers: { ...ROOT, traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` }, payload: { input: 'x' } });
    expect(asked[1]?.trace).toEqual({ traceId: expect.stringMatching(/^[0-9a-f]{32}$/), parentSpanId: null });
    expect(asked[1]?.trace.traceId).not.toBe('0'.repeat(32));
  });

  it.each([
    [{ inptu: 'x' }, 'inptu', /Unknown field `inptu`. Did you mean `input`\?/],
    [{ input: 'x', idempotencyKey: 'k' }, 'idempotencyKey', /Did you mean `idempotency_key`/],
    [{ input: 'x', zzzzzzzzz: 1 }, 'zzzzzzzzz', /Unknown field `zzzzzzzzz`\.$/],
    [{}, 'input', /`input` is missing/],
    [{ input: 5 }, 'input', /must be a string or an object, not 5/],
    [{ input: ['x'] }, 'input', /must be a string or an object, not an array/],
    [{ input: null }, 'input', /not null/],
    [{ input: 'x', stream: 'true' }, 'stream', /must be true or false, not "true"/],
    [{ input: 'x', user_id: '' }, 'user_id', /`user_id` must not have fewer than 1/],
    [{ input: 'x', idempotency_key: 'k'.repeat(256) }, 'idempotency_key', /255/],
    [{ input: 'x', start_at: 'tomorrow' }, 'start_at', /must be a time by RFC 3339/],
    [{ input: 'x', delay_s: -1 }, 'delay_s', /0/],
    [{ input: 'x', delay_s: 1.5 }, 'delay_s', /whole number/],
    [{ input: 'x', delay_s: 2_592_001 }, 'delay_s', /2592000/],
    [{ input: 'x', delay_s: 5, start_at: '2026-12-01T00:00:00Z' }, 'delay_s', /both say when/],
    [['x'], '', /The body must be an object, not an array/],
  ])('refuses %j and names the field, the fault and the cure', async (payload, field, detail) => {
    const { app, asked } = createRunApp();
    const answer = await app.inject({ method: 'POST', url: createRunUrl, headers: ROOT, payload });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'invalid_input', field, detail: expect.stringMatching(detail), cure: expect.any(String), in: 'body' });
    expect(asked).toEqual([]);
  });

  it('says where a body stops being JSON', async () => {
    const answer = await createApp().inject({ method: 'POST', url: createRunUrl, headers: { ...ROOT, 'content-type': 'application/json' }, payload: '{\n  "input": "x",\n}' });
    expect(answer.json()).toMatchObject({ status: 400, code: 'invalid_input', line: 3, column: 1, detail: expect.stringContaining('line 3, column 1') });
  });

  it('takes only JSON: another media type is a 415 with the cure', async () => {
    const answer = await createApp().inject({ method: 'POST', url: createRunUrl, headers: { ...ROOT, 'content-type': 'text/plain' }, payload: 'hello' });
    expect(answer.json()).toMatchObject({ status: 415, code: 'invalid_input', cure: 'Send the header Content-Type: application/json.' });
    expect(answer.statusCode).toBe(415);
  });

  it('needs a body', async () => {
    const answer = await createApp().inject({ method: 'POST', url: createRunUrl, headers: ROOT });
    expect(answer.json()).toMatchObject({ status: 400, field: 'input', detail: '`input` is missing.' });
  });

  it('refuses an input above the limit of a run', async () => {
    const answer = await createApp().inject({ method: 'POST', url: createRunUrl, headers: ROOT, payload: { input: 'x'.repeat(262_144) } });
    expect(answer.json()).toMatchObject({ status: 413, code: 'payload_too_large', field: 'input' });
  });
});

describe('a body of 50 MB', () => {
  const chunk = Buffer.alloc(65_536, 'x');

  it('is refused by its announced length', async () => {
    const headers = { ...ROOT, 'content-type': 'application/json', 'content-length': '52428800' };
    const answer = await createApp().inject({ method: 'POST', url: createRunUrl, headers, payload: chunk });
    expect(answer.json()).toMatchObject({ status: 413, code: 'payload_too_large' });
  });

  it('is refused while it streams in, long before its end', async () => {
    const app = createApp();
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    let sentBytes = 0;
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest({ host: '127.0.0.1', port, path: createRunUrl, method: 'POST', headers: { ...ROOT, 'content-type': 'application/json' } });
      request.on('response', (response) => {
        response.resume();
        resolve(response.statusCode);
        request.destroy();
      });
      request.on('error', reject);
      const pour = (): void => {
        while (sentBytes < 52_428_800 && !request.destroyed) {
          sentBytes += chunk.length;
          if (!request.write(chunk)) return void request.once('drain', pour);
        }
      };
      pour();
    });
    expect(status).toBe(413);
    expect(sentBytes).toBeLessThan(20_000_000);
  });
});

describe('errors of the port', () => {
  it('answers already_decided with who, when and the state', async () => {
    const app = createApp({
      decideApproval: async () => {
        throw new PlatformError('already_decided', 'bob decided first.', { details: { decidedBy: 'bob', decidedAt: '2026-11-22T08:00:00.000Z', status: 'approved' } });
      },
    });
    const answer = await app.inject({ method: 'POST', url: `/api/v1/approvals/${APPROVAL_ID}/decide`, headers: ROOT, payload: { verdict: 'approve' } });
    expect(answer.json()).toMatchObject({ status: 409, code: 'already_decided', decided_by: 'bob', decided_at: '2026-11-22T08:00:00.000Z', current_status: 'approved' });
  });

  it('tells nothing of an unexpected error, and logs it once with the trace id', async () => {
    const lines: { readonly level: string; readonly fields: unknown; readonly bindings: unknown }[] = [];
    const logger = (bindings: unknown) => {
      const at = (level: string) => (fields: unknown) => void lines.push({ level, fields, bindings });
      return { level: 'info', info: at('info'), warn: at('warn'), error: at('error'), fatal: at('fatal'), debug: () => {}, trace: () => {}, silent: () => {}, child: (more: unknown) => logger(more) };
    };
    const port = createFakePort({
      getRun: async () => {
        throw new Error('password=hunter2', { cause: new Error('stack inside') });
      },
    });
    const app = createHttpApp(port, { version: '0.1.0', logger: logger({}) });
    apps.push(app);
    const answer = await app.inject({ url: `/api/v1/runs/${RUN_ID}`, headers: ROOT });
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toMatch(/hunter2|stack|at /);
    const traceId = answer.headers['x-trace-id'];
    expect(answer.json()).toMatchObject({ code: 'internal', trace_id: traceId });
    expect(lines).toEqual([expect.objectContaining({ level: 'error', bindings: { trace_id: traceId } })]);
    expect(lines[0]?.fields).toMatchObject({ err: { cause: { message: 'password=hunter2' } } });
  });

  it.each([
    ['unavailable', 503, '1'],
    ['quota_exceeded', 429, '30'],
  ] as const)('says when to try again after %s', async (code, status, seconds) => {
    const app = createApp({
      getRun: async () => {
        throw new PlatformError(code, 'No.', { details: code === 'quota_exceeded' ? { retryAfterS: 29.5 } : {} });
      },
    });
    const answer = await app.inject({ url: `/api/v1/runs/${RUN_ID}`, headers: ROOT });
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([status, seconds]);
  });
});

describe('paths and parameters', () => {
  it.each([
    ['/api/v1/nope', 404],
    ['/nope', 404],
    ['/api/v1/runs/%zz', 400],
    ['/api/v1/runs/run-abc', 400],
    ['/api/v1/runs?limit=0', 400],
    ['/api/v1/runs?limit=201', 400],
    ['/api/v1/runs?limit=ten', 400],
    ['/api/v1/runs?statsu=failed', 400],
    ['/api/v1/runs?status=done', 400],
    ['/api/v1/runs?status=failed&status=running', 400],
    ['/api/v1/runs?cursor=%21%21', 400],
    ['/api/v1/runs?user_id=%00', 400],
    ['/api/v1/usage?from=yesterday', 400],
  ])('answers %s with a problem', async (url, status) => {
    const answer = await createApp().inject({ url, headers: ROOT });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.json()).toMatchObject({ status, trace_id: answer.headers['x-trace-id'], cure: expect.any(String) });
  });

  it('names the methods that a path takes', async () => {
    const answer = await createApp().inject({ method: 'DELETE', url: '/api/v1/runs', headers: ROOT });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers['allow']).toBe('GET');
  });

  it('hands the cursor of the port back to it, opaque in between', async () => {
    const pages: PageRequest[] = [];
    const app = createApp({
      listRuns: async (_caller, _filter, page) => {
        pages.push(page);
        return { items: [{ run: toRun(), lineage: [], pendingApprovals: [APPROVAL_ID] }], nextCursor: '2026-11-22|é' };
      },
    });
    const first = (await app.inject({ url: '/api/v1/runs?limit=7&status=paused', headers: ROOT })).json<{ next_cursor: string; items: unknown[] }>();
    expect(first.items[0]).toMatchObject({ run_id: RUN_ID, user_id: 'alice', usage: { prompt_tokens: 0, completion_tokens: 0, cost_usd: 0.0015 }, pending_approvals: [APPROVAL_ID], error: null });
    expect(first.next_cursor).toMatch(/^[\w-]+$/);
    await app.inject({ url: `/api/v1/runs?cursor=${first.next_cursor}`, headers: ROOT });
    expect(pages).toEqual([
      { limit: 7, cursor: null },
      { limit: 50, cursor: '2026-11-22|é' },
    ]);
  });
});

describe('other operations', () => {
  it('takes the feedback of the document, section 16.2', async () => {
    const given: FeedbackRequest[] = [];
    const app = createApp({
      giveFeedback: async (_caller, _runId, feedback) => {
        given.push(feedback);
        return { feedbackId: 'f1', preferencePairId: 'p1' };
      },
    });
    const payload = { score: -1, correction: '不应该直接建议封禁，应该建议先隔离观察。', category: 'safety_violation' };
    const answer = await app.inject({ method: 'POST', url: `/api/v1/runs/${RUN_ID}/feedback`, headers: ROOT, payload });
    expect([answer.statusCode, answer.json()]).toEqual([201, { feedback_id: 'f1', preference_pair_id: 'p1' }]);
    expect(given).toEqual([payload]);
    const wrong = await app.inject({ method: 'POST', url: `/api/v1/runs/${RUN_ID}/feedback`, headers: ROOT, payload: { score: 0 } });
    expect(wrong.json()).toMatchObject({ status: 400, field: 'score', detail: '`score` must be one of -1, 1.' });
  });

  it.each([
    [{ verdict: 'edit' }, 'args'],
    [{ verdict: 'approve', args: {} }, 'args'],
    [{ verdict: 'reject' }, 'comment'],
    [{ verdict: 'reject', comment: '  ' }, 'comment'],
    [{ verdict: 'aprove' }, 'verdict'],
    [{ verdict: 'approve', call_hash: 'abc' }, 'call_hash'],
  ])('refuses the decision %j', async (payload, field) => {
    const answer = await createApp().inject({ method: 'POST', url: `/api/v1/approvals/${APPROVAL_ID}/decide`, headers: ROOT, payload });
    expect(answer.json()).toMatchObject({ status: 400, code: 'invalid_input', field });
  });

  it('passes an edit on as it is', async () => {
    const asked: DecideRequest[] = [];
    const app = createApp({
      decideApproval: async (_caller, _id, request) => {
        asked.push(request);
        throw new PlatformError('hash_mismatch', 'Another call.');
      },
    });
    const payload = { verdict: 'edit', args: { ip: '1.2.3.4', camelCase: { kept_as: 'is' } }, call_hash: 'a'.repeat(64) };
    const answer = await app.inject({ method: 'POST', url: `/api/v1/approvals/${APPROVAL_ID}/decide`, headers: ROOT, payload });
    expect(answer.json()).toMatchObject({ status: 409, code: 'hash_mismatch' });
    expect(asked).toEqual([{ verdict: 'edit', callHash: payload.call_hash, editedArgs: payload.args, comment: null }]);
  });

  it('fills an agent configuration in with the defaults, and refuses what it does not know', async () => {
    const asked: CreateAgentRequest[] = [];
    const app = createApp({
      createAgent: async (_caller, { name, version, configuration }) => {
        asked.push({ name, version, configuration });
        const at = new Date(0);
        return { created: true, agent: { current: false, agent: { tenantId: 'default', id: AGENT_ID, name, version, status: 'draft', configuration, createdAt: at, updatedAt: at } } };
      },
    });
    const answer = await app.inject({ method: 'POST', url: '/api/v1/agents', headers: ROOT, payload: { name: 'a', version: '1', configuration: { model: { temperature: 1 }, tools: ['t'] } } });
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toMatchObject({ agent_id: AGENT_ID, current: false, configuration: { runtime: 'native', tools: ['t'], model: { temperature: 1, max_tokens: 2_048, tool_calling: 'native' }, max_steps: 50 } });
    expect(asked[0]?.configuration.model).toEqual({ name: '', temperature: 1, maxTokens: 2_048, toolCalling: 'native' });
    const wrong = await app.inject({ method: 'POST', url: '/api/v1/agents', headers: ROOT, payload: { name: 'a', version: '1', configuration: { model: { maxTokens: 5 } } } });
    expect(wrong.json()).toMatchObject({ status: 400, field: 'configuration.model.maxTokens', did_you_mean: 'max_tokens' });
    const uuid = await app.inject({ method: 'POST', url: '/api/v1/agents', headers: ROOT, payload: { name: RUN_ID, version: '1' } });
    expect(uuid.json()).toMatchObject({ status: 400, field: 'name' });
  });

  it('takes a missing body for an empty one where nothing is needed', async () => {
    const reasons: (string | null)[] = [];
    const app = createApp({
      cancelRun: async (_caller, _id, reason) => {
        reasons.push(reason);
        return { run: { run: toRun({ status: 'running' }), lineage: [], pendingApprovals: [] }, changed: reasons.length === 1 };
      },
    });
    const url = `/api/v1/runs/${RUN_ID}/cancel`;
    expect((await app.inject({ method: 'POST', url, headers: ROOT })).statusCode).toBe(202);
    expect((await app.inject({ method: 'POST', url, headers: { ...ROOT, 'content-type': 'application/json' }, payload: '{"reason":"dup"}' })).statusCode).toBe(200);
    expect(reasons).toEqual([null, 'dup']);
  });

  it('exports the audit log as one row a line', async () => {
    const row: AuditEntry = {
      id: '1', runId: null, traceId: 't', actor: 'a', actionType: 'trigger', phase: 'event', decision: null, outcome: 'ok', rule: null, stepNo: null, metadata: { note: 'two\nlines' },
      sanitizedInput: null, sanitizedOutput: null, chainId: 'c', chainSeq: 1, prevHash: '0', rowHash: '1', createdAt: new Date(0),
    };
    const app = createApp({
      exportAudit: async function* exportAudit() {
        yield row;
        yield { ...row, id: '2', chainSeq: 2 };
      },
    });
    const answer = await app.inject({ url: '/api/v1/audit/export?from=2026-01-01T00:00:00Z', headers: ROOT });
    expect(answer.headers['content-type']).toBe('application/x-ndjson');
    expect(answer.body.trimEnd().split('\n').map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(['1', '2']);
  });

  it('reads old runs as lines, and refuses before it has begun', async () => {
    const asked: ArchiveQuery[] = [];
    const app = createApp({
      readArchivableRuns: async function* (_caller, query) {
        asked.push(query);
        if (query.finishedBefore > new Date('2026-06-01')) throw new PlatformError('invalid_input', 'Too young.', { details: { field: 'finished_before' } });
        yield '{"kind":"page_end","runs":0,"next":null}';
      },
    });
    const read = (query: string) => app.inject({ url: `/api/v1/archive/runs?${query}`, headers: ROOT });
    const answer = await read('finished_before=2026-01-01T00:00:00Z&limit=3&content=none');
    expect([answer.statusCode, answer.headers['content-type'], answer.body]).toEqual([200, 'application/x-ndjson', '{"kind":"page_end","runs":0,"next":null}\n']);
    expect(asked[0]).toEqual({ finishedBefore: new Date('2026-01-01T00:00:00Z'), after: null, limit: 3, content: 'none' });
    expect((await read('finished_before=2026-11-01T00:00:00Z')).statusCode).toBe(400);
    for (const wrong of ['', 'finished_before=yesterday', 'finished_before=2026-01-01T00:00:00Z&limit=501']) expect((await read(wrong)).statusCode).toBe(400);
    expect((await app.inject({ url: '/api/v1/archive/runs?finished_before=2026-01-01T00:00:00Z', headers: ALICE })).json()).toMatchObject({ scope: 'runs:archive' });
  });

  it('gives the diagnosis whatever it finds, to keys with its scope', async () => {
    const checks = [{ name: 'nodes', status: 'problem', summary: 'none is alive', cure: 'Start a node.' }] as const;
    const app = createApp({ diagnose: async () => ({ ok: false, checks }) });
    const answer = await app.inject({ url: '/api/v1/diagnostics', headers: ROOT });
    expect([answer.statusCode, answer.json()]).toEqual([200, { ok: false, checks }]);
    expect((await app.inject({ url: '/api/v1/diagnostics', headers: ALICE })).json()).toMatchObject({ scope: 'system:read' });
  });

  it('says that a process cannot go on', async () => {
    const app = createApp({ checkLive: async () => Promise.reject(new PlatformError('unavailable', 'The embedded database is gone.')) });
    expect((await app.inject('/healthz')).statusCode).toBe(503);
  });

  it('serves probes, metrics and its own description without a key', async () => {
    const app = createApp({
      checkReady: async () => {
        throw new PlatformError('unavailable', 'The database does not answer.');
      },
      checkLive: async () => undefined,
      renderMetrics: async () => 'up 1\n',
    });
    expect((await app.inject('/healthz')).json()).toEqual({ status: 'ok' });
    expect((await app.inject({ method: 'HEAD', url: '/healthz' })).statusCode).toBe(200);
    const ready = await app.inject('/readyz');
    expect([ready.statusCode, ready.headers['retry-after'], ready.json<{ code: string }>().code]).toEqual([503, '1', 'unavailable']);
    const metrics = await app.inject('/metrics');
    expect([metrics.headers['content-type'], metrics.body]).toEqual(['text/plain; version=0.0.4; charset=utf-8', 'up 1\n']);
    expect((await app.inject('/openapi.json')).json()).toMatchObject({ openapi: '3.1.0' });
    expect((await app.inject('/')).json()).toMatchObject({ name: 'OpenEAAP', version: '0.1.0' });
  });
});
