import type { ToolContext, ToolInvocation } from '@openeaap/adapter';
import type { Principal } from '@openeaap/kernel';
import { LIMITS, PlatformError } from '@openeaap/kernel';
import { describe, expect, test } from 'vitest';
import type { KnowledgeChunk, RetrieveKnowledge } from './index.ts';
import { createStandardTools } from './index.ts';

const principal: Principal = { tenantId: 't', userId: 'alice', groups: ['soc'], clearance: 2 };
const context = (signal = new AbortController().signal): ToolContext => ({ signal, principal, secrets: {}, traceContext: {} });
const invocation = (tool: string, args: ToolInvocation['args']): ToolInvocation => ({ tool, args, idempotencyKey: 'k', runId: 'r', stepId: 's', stepNo: 2, agentId: 'a', dryRun: false });
const search = (args: ToolInvocation['args']): ToolInvocation => invocation('search_knowledge', args);

const chunk = (extra: Partial<KnowledgeChunk> = {}): KnowledgeChunk => ({
  chunkId: '7',
  title: 'SOP',
  headingPath: ['SOP', 'Step 1'],
  content: 'text',
  source: 'sops/a.md',
  score: 3.5,
  sensitivity: 2,
  ...extra,
});

const finding =
  (...chunks: readonly KnowledgeChunk[]): RetrieveKnowledge =>
  () =>
    Promise.resolve({ chunks });

describe('search_knowledge', () => {
  test("asks with the caller's rights, and returns passages with their lineage", async () => {
    const asked: unknown[] = [];
    const tools = createStandardTools({
      retrieve: (request) => {
        asked.push(request);
        return Promise.resolve({ chunks: [chunk()] });
      },
    });
    const outcome = await tools.call(search({ query: 'login', top_k: 3 }), context());
    expect(asked).toEqual([{ tenantId: 't', principal, query: 'login', topK: 3 }]);
    expect(outcome).toEqual({
      output: { chunks: [{ chunk_id: '7', title: 'SOP › Step 1', content: 'text', score: 3.5, source: 'sops/a.md' }] },
      lineage: [{ chunkId: '7', title: 'SOP › Step 1', source: 'sops/a.md', score: 3.5, sensitivity: 2 }],
    });
  });

  test('returns whole passages only, within what the journal keeps, and no lineage for the rest', async () => {
    const many = Array.from({ length: 20 }, (_, i) => chunk({ chunkId: String(i), content: '字'.repeat(1_800) }));
    const { output, lineage } = await createStandardTools({ retrieve: finding(...many) }).call(search({ query: 'x', top_k: 20 }), context());
    expect(Buffer.byteLength(JSON.stringify(output))).toBeLessThanOrEqual(LIMITS.toolResultBytes);
    expect(output).toMatchObject({ chunks: lineage?.map((ref) => ({ chunk_id: ref.chunkId })) });
    expect(lineage?.length).toBeGreaterThan(5);
  });

  test('finding nothing is an answer', async () => {
    expect(await createStandardTools({ retrieve: finding() }).call(search({ query: 'x' }), context())).toEqual({ output: { chunks: [] }, lineage: [] });
  });

  test.each([{}, { query: '' }, { query: '  ' }, { query: 7 }, { query: 'x'.repeat(5_000) }, { query: 'x', top_k: 0 }, { query: 'x', top_k: 21 }, { query: 'x', top_k: 'all' }])(
    'refuses %j',
    async (args) => {
      await expect(createStandardTools({ retrieve: finding() }).call(search(args), context())).rejects.toMatchObject({ code: 'tool_failed' });
    },
  );

  test.each([
    [new PlatformError('unavailable', 'no database'), 'tool_unavailable'],
    [new PlatformError('invalid_input', 'bad query'), 'tool_failed'],
    [new PlatformError('permission_denied', 'other tenant'), 'tool_failed'],
    [new Error('password=1'), 'tool_failed'],
  ])('passes %s on as %s', async (thrown, code) => {
    const tools = createStandardTools({ retrieve: () => Promise.reject(thrown) });
    await expect(tools.call(search({ query: 'x' }), context())).rejects.toMatchObject({ code, message: expect.not.stringContaining('password') });
  });

  test('ends when it is cancelled, though the search does not', async () => {
    const controller = new AbortController();
    const tools = createStandardTools({
      retrieve: () => {
        queueMicrotask(() => controller.abort());
        return new Promise(() => undefined);
      },
    });
    await expect(tools.call(search({ query: 'x' }), context(controller.signal))).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('calculator', () => {
  const tools = createStandardTools({ retrieve: finding() });

  test('computes, and names the place of an error', async () => {
    expect(await tools.call(invocation('calculator', { expression: '2 * (3 + 4)' }), context())).toEqual({ output: { expression: '2 * (3 + 4)', result: 14 } });
    await expect(tools.call(invocation('calculator', { expression: '2 * (3 +' }), context())).rejects.toMatchObject({ code: 'tool_failed', details: { position: 9 } });
    await expect(tools.call(invocation('calculator', {}), context())).rejects.toMatchObject({ code: 'tool_failed' });
  });

  test('an unknown tool is refused', async () => {
    await expect(tools.call(invocation('shell', {}), context())).rejects.toMatchObject({ code: 'tool_failed' });
  });

  test('both tools only read, with closed schemas', async () => {
    const { tools: specs } = await tools.handshake();
    expect(specs.map((spec) => [spec.name, spec.effect])).toEqual([
      ['search_knowledge', 'read'],
      ['calculator', 'read'],
    ]);
    expect(specs.every((spec) => spec.inputSchema['additionalProperties'] === false)).toBe(true);
  });
});
