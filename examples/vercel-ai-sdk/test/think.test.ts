import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { AgentRequest, Decision } from '@openeaap/sdk';
import { analyst } from '../src/analyst.ts';

/** What a model server says. `whole: false`: it closes the connection before the end. */
interface Answer {
  readonly body: string;
  readonly status?: number;
  readonly whole?: boolean;
}

const REQUEST: AgentRequest = {
  runId: 'r', stepId: 's', stepNo: 1, tenantId: 'default', input: 'hi', journal: [], state: null,
  principal: { tenantId: 'default', userId: 'ada', groups: [], clearance: 2 },
  tools: ['lookup', 'whois'].map((name) => ({ name, version: '1', description: name, inputSchema: { type: 'object' }, effect: 'read' })),
  constraints: { blockedTools: [], dryRun: false, maxTokens: 0 },
  agent: { id: 'a', name: 'a', version: '1', reasoning: 'react', systemPrompt: '', model: { name: '', temperature: 0, maxTokens: 0, toolCalling: 'native' }, settings: {} },
};

interface Thought {
  readonly decision: Decision;
  readonly shown: readonly string[];
  readonly usage: object | undefined;
}

async function think({ body, status = 200, whole = true }: Answer): Promise<Thought> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': status === 200 ? 'text/event-stream' : 'application/json' }).write(body, () => (whole ? response.end() : response.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const shown: string[] = [];
  const reported: object[] = [];
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const decision = await analyst.think(REQUEST, { signal: new AbortController().signal, emit: (text) => shown.push(text), model: { url, token: 't' }, reportUsage: (usage) => reported.push(usage), traceContext: {} });
    return { decision, shown, usage: reported[0] };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const chunk = (fields: object): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', ...fields })}\n\n`;
const delta = (fields: object, finishReason: string | null = null): string => chunk({ choices: [{ index: 0, delta: fields, finish_reason: finishReason }] });
const piece = (index: number, text: string, begun: { readonly id?: string; readonly name?: string } = {}): string =>
  delta({ tool_calls: [{ index, ...(begun.id === undefined ? {} : { id: begun.id, type: 'function' }), function: { arguments: text, ...(begun.name === undefined ? {} : { name: begun.name }) } }] });
const end = (reason: string): string => delta({}, reason) + chunk({ choices: [], usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } }) + 'data: [DONE]\n\n';

test('calls whose pieces come in turns are put together, with the text and the usage', async () => {
  const body = delta({ role: 'assistant', content: 'Both ' }) + delta({ content: 'at once.' }) + piece(0, '{"ip"', { id: 'a', name: 'lookup' }) + piece(0, ':"1"}') + piece(1, '', { id: 'b', name: 'whois' }) + piece(1, '{"ip":"2"}') + end('tool_calls');
  const { decision, shown, usage } = await think({ body });
  assert.deepEqual(decision, { thought: 'Both at once.', calls: [{ tool: 'lookup', args: { ip: '1' }, id: 'a' }, { tool: 'whois', args: { ip: '2' }, id: 'b' }], output: null, state: null });
  assert.equal(shown.join(''), 'Both at once.');
  assert.deepEqual(usage, { model: 'm', promptTokens: 11, completionTokens: 7 });
});

test('calls that a server gives one id get ids of their own', async () => {
  const { decision } = await think({ body: piece(0, '{}', { id: 'a', name: 'lookup' }) + piece(1, '{}', { id: 'a', name: 'whois' }) + end('tool_calls') });
  assert.deepEqual(decision.calls.map(({ tool }) => tool), ['lookup', 'whois']);
  assert.equal(new Set(decision.calls.map(({ id }) => id)).size, 2);
});

describe('what a model does wrong', () => {
  const cases: readonly (readonly [string, Answer, string, string])[] = [
    ['breaks off', { body: delta({ content: 'I was ab' }), whole: false }, 'model_unavailable', 'broke off'],
    ['fails in the middle', { body: `${delta({ content: 'I' })}data: ${JSON.stringify({ error: { message: 'It fell over.' } })}\n\n` }, 'model_unavailable', 'It fell over.'],
    ['has too much to do', { body: '{"error":{"message":"Too many."}}', status: 429 }, 'model_unavailable', 'answered 429: Too many.'],
    ['does not know the model', { body: '{"error":{"message":"No such model."}}', status: 404 }, 'model_rejected', 'answered 404: No such model.'],
    ['says nothing', { body: delta({ role: 'assistant', content: '' }) + end('stop') }, 'model_invalid_output', 'empty'],
    ['is cut off', { body: delta({ content: 'and then' }) + end('length') }, 'model_invalid_output', 'cut off'],
    ['calls what is not there', { body: piece(0, '{}', { id: 'a', name: 'nothing' }) + end('tool_calls') }, 'model_invalid_output', 'There is no tool "nothing". Call one of: lookup, whois.'],
    ['writes no JSON', { body: piece(0, '{"ip": ', { id: 'a', name: 'lookup' }) + end('tool_calls') }, 'model_invalid_output', '"lookup" were no JSON object'],
    ['writes no object', { body: piece(0, '[1]', { id: 'a', name: 'lookup' }) + end('tool_calls') }, 'model_invalid_output', '"lookup" were no JSON object'],
  ];
  for (const [what, answer, code, told] of cases) {
    test(`${what}: ${code}`, async () => {
      await assert.rejects(think(answer), (error: Error & { readonly code?: string }) => {
        assert.deepEqual([error.code, error.message.includes(told)], [code, true], error.message);
        return true;
      });
    });
  }
});
