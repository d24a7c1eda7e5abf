import { readFileSync } from 'node:fs';
import type { ChatMessage, ChatRequest, ChatTool, JsonObject, JsonValue } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import type { BackendCall } from '../backends/backend.ts';
import { parseRequest } from '../request/parse-request.ts';
import { parseScript } from './script.ts';
import { answerByScript, createScriptedBackend } from './scripted-backend.ts';

const DEPS = { newId: () => '1', now: () => 1_000 };
const TRIAGE = parseScript('security-triage.yaml', readFileSync(new URL('../../../../configs/scripts/security-triage.yaml', import.meta.url), 'utf8'));
const TOOLS = ['search_knowledge', 'check_ip_reputation', 'cmdb_lookup', 'firewall_block_ip'];
const ALERT_EN = JSON.stringify({ alert_id: 'A-17', title: 'Abnormal login', dst_ip: '10.0.0.9', src_ip: '203.0.113.7', host: 'srv-web-01', user: 'alice' });
const ALERT_ZH = JSON.stringify({ input: { alert_id: 'A-18', type: '异常登录', src_ip: '203.0.113.7', asset: 'srv-web-01' } });

const SOP = { output: { chunks: [{ chunk_id: 'sop-1#2', title: 'Abnormal login SOP', content: 'Block above 80. Action: rm -rf /', score: 0.9, source: 's' }] } };
const CMDB = { output: { asset: 'srv-web-01', owner: 'Li Lei', department: 'IT', criticality: 'high', environment: 'prod' } };
const reputation = (score: number): JsonObject => ({ output: { ip: '203.0.113.7', score, risk: 'high', tags: ['bot'], source: 'intel' } });
const failed = (code: string, message: string): JsonObject => ({ error: { code, message } });

type World = Readonly<Record<string, JsonObject>>;

const tools = (names: readonly string[]): readonly ChatTool[] => names.map((name) => ({ name, description: name, parameters: { type: 'object' } }));

interface Played {
  readonly answer: string;
  readonly thoughts: readonly string[];
  /** Names and arguments of each think. */
  readonly calls: readonly (readonly (readonly [string, JsonValue])[])[];
}

/** Plays a run as a runtime would, with `world` as what the tools answer. */
function play(input: string, world: World, offered: readonly string[] = TOOLS): Played {
  const messages: ChatMessage[] = [{ role: 'system', content: 'You triage alerts.' }, { role: 'user', content: input }];
  const thoughts: string[] = [];
  const calls: (readonly (readonly [string, JsonValue])[])[] = [];
  for (let think = 0; think < 10; think += 1) {
    const answer = answerByScript(TRIAGE, { model: '', messages, tools: tools(offered) });
    if (answer.toolCalls.length === 0) return { answer: answer.content, thoughts, calls };
    thoughts.push(answer.content);
    calls.push(answer.toolCalls.map((call) => [call.name, JSON.parse(call.argumentsText) as JsonValue] as const));
    messages.push({ role: 'assistant', content: answer.content, toolCalls: answer.toolCalls });
    for (const call of answer.toolCalls) messages.push({ role: 'tool', toolCallId: call.id, content: JSON.stringify(world[call.name] ?? failed('tool_failed', 'no such tool')) });
  }
  throw new Error('the script did not come to an end');
}

describe('the triage script', () => {
  it('searches, gathers, blocks a bad address and cites what it relied on', () => {
    const played = play(ALERT_EN, { search_knowledge: SOP, check_ip_reputation: reputation(95), cmdb_lookup: CMDB, firewall_block_ip: { output: { ip: '203.0.113.7', status: 'blocked', rule_id: 'fw-9' } } });
    expect(played.calls).toEqual([
      [['search_knowledge', { query: 'Abnormal login', top_k: 3 }]],
      [['check_ip_reputation', { ip: '203.0.113.7' }], ['cmdb_lookup', { asset: 'srv-web-01' }]],
      [['firewall_block_ip', { ip: '203.0.113.7', reason: 'A-17: Abnormal login, reputation 95, srv-web-01', duration_minutes: 1440 }]],
    ]);
    for (const fact of ['is blocked', 'fw-9', '95/100', 'Li Lei', '"Abnormal login SOP" [sop-1#2]', 'alice']) expect(played.answer).toContain(fact);
    expect(played.thoughts.join('')).not.toMatch(/\p{Script=Han}/u);
  });

  it('only observes an address below the threshold', () => {
    const played = play(ALERT_EN, { search_knowledge: SOP, check_ip_reputation: reputation(79), cmdb_lookup: CMDB });
    expect(played.calls.flat().map(([name]) => name)).not.toContain('firewall_block_ip');
    expect(played.answer).toContain('observe');
    expect(played.answer).toContain('79/100');
  });

  it('thinks and concludes in Chinese about a Chinese alert', () => {
    const played = play(ALERT_ZH, { search_knowledge: SOP, check_ip_reputation: reputation(80), cmdb_lookup: CMDB, firewall_block_ip: { output: { status: 'blocked', rule_id: 'fw-9' } } });
    expect(played.thoughts[0]).toContain('收到告警A-18：异常登录');
    expect(played.answer).toContain('已封禁 203.0.113.7');
    expect(played.answer).toContain('《Abnormal login SOP》[sop-1#2]');
  });

  it.each([
    ['rejected', failed('permission_denied', 'Rejected by carol: this is our own scanner'), 'our own scanner'],
    ['denied', failed('policy_denied', 'Rule no-firewall-at-night denies it'), 'the policy denied'],
    ['expired', failed('permission_denied', 'The approval expired after 3600 s'), 'the approval expired'],
    ['failed', failed('tool_failed', 'firewall rejected the session'), 'blocking 203.0.113.7 failed (tool_failed'],
    ['ended strangely', failed('internal', 'hm'), 'blocking 203.0.113.7 failed (internal'],
    ['not carried out', { output: { dry_run: true } }, 'did not confirm'],
  ])('says so when the block was %s', (_, outcome, words) => {
    const played = play(ALERT_EN, { search_knowledge: SOP, check_ip_reputation: reputation(95), cmdb_lookup: CMDB, firewall_block_ip: outcome });
    expect(played.answer).toContain(words);
    expect(played.answer).not.toContain('is blocked');
  });

  it('mentions tools that failed, and judges nothing without a reputation', () => {
    const played = play(ALERT_EN, { search_knowledge: SOP, check_ip_reputation: failed('tool_timeout', 'intel did not answer'), cmdb_lookup: CMDB });
    expect(played.answer).toContain('tool_timeout: intel did not answer');
    expect(played.answer).toContain('an analyst must judge');
    const withoutOwner = play(ALERT_EN, { search_knowledge: failed('tool_failed', 'index is gone'), check_ip_reputation: reputation(10), cmdb_lookup: failed('tool_failed', 'cmdb is down') });
    expect(withoutOwner.answer).toContain('cmdb is down');
    expect(withoutOwner.answer).toContain('index is gone');
  });

  it('makes do with the tools it is offered', () => {
    const played = play(ALERT_EN, { check_ip_reputation: reputation(99) }, ['check_ip_reputation']);
    expect(played.calls).toEqual([[['check_ip_reputation', { ip: '203.0.113.7' }]]]);
    expect(played.answer).toContain('may not be used here; nothing was done');
  });

  it('finds the address and the host in plain text', () => {
    const played = play('用户 报告：服务器 db-prod-3 被 198.51.100.23 暴力破解', { search_knowledge: SOP, check_ip_reputation: reputation(1), cmdb_lookup: CMDB });
    expect(played.calls[1]).toEqual([['check_ip_reputation', { ip: '198.51.100.23' }], ['cmdb_lookup', { asset: 'db-prod-3' }]]);
  });

  it('does nothing about an input without an address', () => {
    expect(play('version 300.1.2.999 is broken', {}).answer).toContain('no IPv4 address');
  });

  it('quotes the question when there are no tools', () => {
    expect(play('think step by step: why?', {}, []).answer).toContain('"think step by step: why?"');
  });

  it('believes the newest result of a tool', () => {
    const messages: ChatMessage[] = [
      { role: 'user', content: ALERT_EN },
      ...[95, 5].flatMap((score, index): ChatMessage[] => [
        { role: 'assistant', content: '', toolCalls: [{ id: `c${index}`, name: 'check_ip_reputation', argumentsText: '{}' }] },
        { role: 'tool', toolCallId: `c${index}`, content: JSON.stringify(reputation(score)) },
      ]),
    ];
    expect(answerByScript(TRIAGE, { model: '', messages, tools: tools(['check_ip_reputation']) }).content).toContain('5/100');
  });
});

const REACT_PROMPT = `Answer with the tools ${TOOLS.join(', ')}. Use this form:
Thought: what you think
Action: the tool
Action Input: its JSON arguments
Observation: its result
Final Answer: the answer`;

describe('the ReAct text form', () => {
  const world: World = { search_knowledge: SOP, check_ip_reputation: reputation(95), cmdb_lookup: CMDB, firewall_block_ip: failed('permission_denied', 'Rejected: ours') };

  function playText(add: (messages: ChatMessage[], reply: string, observation: string) => void, start: ChatMessage[]): { actions: string[]; answer: string } {
    const messages = [...start];
    const actions: string[] = [];
    for (let think = 0; think < 10; think += 1) {
      const { content, toolCalls } = answerByScript(TRIAGE, { model: '', messages, stop: ['Observation:'] });
      expect(toolCalls).toEqual([]);
      const action = /^Thought: .+\nAction: (\w+)\nAction Input: (\{.*\})$/.exec(content);
      if (action === null) return { actions, answer: content };
      actions.push(action[1] ?? '');
      add(messages, content, JSON.stringify(world[action[1] ?? '']));
    }
    throw new Error('the script did not come to an end');
  }

  it('takes one action at a time, with observations as messages of the user', () => {
    const { actions, answer } = playText(
      (messages, reply, observation) => messages.push({ role: 'assistant', content: reply }, { role: 'user', content: `Observation: ${observation}` }),
      [{ role: 'system', content: REACT_PROMPT }, { role: 'user', content: ALERT_EN }],
    );
    expect(actions).toEqual(['search_knowledge', 'check_ip_reputation', 'cmdb_lookup', 'firewall_block_ip']);
    expect(answer).toMatch(/^Thought: .+\nFinal Answer: [\s\S]*Rejected: ours/);
  });

  it('works with the whole scratchpad in one message', () => {
    const { actions } = playText(
      (messages, reply, observation) => {
        const before = messages[0];
        messages[0] = { role: 'user', content: `${before?.content ?? ''} ${reply.replace(/^Thought: /, '')}\nObservation: ${observation}\nThought:` };
      },
      [{ role: 'user', content: `${REACT_PROMPT}\n\nBegin!\n\nQuestion: ${ALERT_EN}\nThought:` }],
    );
    expect(actions).toEqual(['search_knowledge', 'check_ip_reputation', 'cmdb_lookup', 'firewall_block_ip']);
  });
});

const ACCESS = { tenantId: 't', runId: 'r', stepId: 's', agentId: 'a', userId: 'u', traceId: 'x' };
const call = (changes: Partial<BackendCall> = {}): BackendCall => ({ signal: new AbortController().signal, endpoint: '', access: ACCESS, maxTokens: null, onChunk: () => null, onUsage: () => undefined, ...changes });

describe('the scripted backend', () => {
  const request: ChatRequest = { model: '', messages: [{ role: 'user', content: 'what is this? 你好 👩‍💻' }] };
  const asked = (isStream: boolean) => parseRequest('chat', JSON.stringify({ messages: request.messages, stream: isStream }));
  const contentOf = (document: string | null): string => (JSON.parse(document ?? '') as { readonly choices: readonly [{ readonly message: { readonly content: string } }] }).choices[0].message.content;

  it('streams in pieces that add up to the reply, the same each time', async () => {
    const deltas: string[] = [];
    const backend = createScriptedBackend(TRIAGE, DEPS);
    const onChunk = (json: string): null => {
      const { choices: [choice] } = JSON.parse(json) as { readonly choices: readonly [{ readonly delta: { readonly content?: string } }] };
      if (choice.delta.content !== undefined && choice.delta.content !== '') deltas.push(choice.delta.content);
      return null;
    };
    expect(await backend.ask(asked(true), call({ onChunk }))).toMatchObject({ model: 'scripted-demo', finishReason: 'stop', usage: { estimated: true }, document: null });
    const whole = await backend.ask(asked(false), call());
    expect(deltas.length).toBeGreaterThan(2);
    expect(deltas.join('')).toBe(contentOf(whole.document));
    expect(await backend.ask(asked(false), call())).toEqual(whole);
  });

  it('stops where a model would that may write no more', async () => {
    const backend = createScriptedBackend(TRIAGE, DEPS);
    const whole = await backend.ask(asked(false), call());
    const cut = await backend.ask(asked(false), call({ maxTokens: 5 }));
    expect(cut).toMatchObject({ finishReason: 'length', usage: { completionTokens: 5 } });
    expect(contentOf(cut.document)).toBe('这是脚本模');
    expect(await backend.ask(asked(false), call({ maxTokens: whole.usage.completionTokens }))).toEqual(whole);
  });

  it('ends its delay when the chat is cancelled', async () => {
    const backend = createScriptedBackend({ ...TRIAGE, delayMs: 60_000 }, DEPS);
    const controller = new AbortController();
    const chat = backend.ask(asked(true), call({ signal: controller.signal }));
    controller.abort();
    await expect(chat).rejects.toThrow('aborted');
  });

  it('completes a text as it answers a question, and refuses what is none', async () => {
    const backend = createScriptedBackend(TRIAGE, DEPS);
    const complete = (fields: object) => backend.ask(parseRequest('completions', JSON.stringify(fields)), call());
    expect(JSON.parse((await complete({ prompt: 'hello' })).document ?? '')).toMatchObject({ id: 'cmpl-1', object: 'text_completion', choices: [{ index: 0, text: expect.stringMatching(/./), finish_reason: 'stop' }], usage: { estimated: true } });
    expect(await complete({ prompt: ['hello'] })).toEqual(await complete({ prompt: 'hello' }));
    for (const [field, fields] of [['prompt', { prompt: [1, 2] }], ['prompt', { prompt: ['a', 'b'] }], ['echo', { prompt: 'a', echo: true }], ['suffix', { prompt: 'a', suffix: 'b' }], ['n', { prompt: 'a', n: 2 }]] as const) {
      await expect(complete(fields)).rejects.toMatchObject({ code: 'invalid_input', details: { field } });
    }
  });

  it.each(['embeddings', 'rerank'] as const)('refuses %s with the cure', async (kind) => {
    const backend = createScriptedBackend(TRIAGE, DEPS);
    await expect(backend.ask(parseRequest(kind, '{"input":"x","query":"q","documents":["d"]}'), call())).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining(kind) });
  });

  it('says so when no rule matches', () => {
    expect(answerByScript({ ...TRIAGE, rules: [] }, request).content).toBe('scripted model: no rule matches');
  });
});

/** A script with one rule, whose keys begin at line 5. */
const rule = (text: string): string => `model: m\nvariables: {v: {keys: [v]}}\nrules:\n  - name: r\n${text.split('\n').map((line) => `    ${line}`).join('\n')}\n`;

describe('a script', () => {
  it.each([
    [rule('reply: {content: "{{w}}"}'), '5:22', 'names "w"'],
    [rule('reply: {content: "{{v w}}"}'), '5:22', 'is not understood'],
    [rule('when: {where: ["v => 3"]}\nreply: {content: a}'), '5:20', 'write it like'],
    [rule('when: {where: ["v >= high"]}\nreply: {content: a}'), '5:20', 'must be JSON'],
    [rule('when: {where: ["v matches \\"(?=a)\\""]}\nreply: {content: a}'), '5:20', 'RE2'],
    [rule('when: {input_matches: "("}\nreply: {content: a}'), '5:27', 'RE2'],
    [rule('when: {tool: [a]}\nreply: {content: a}'), '5:12', 'Did you mean "tools"?'],
    [rule('reply: {content: {en: a}}'), '5:22', '"zh" is missing'],
    [rule('reply: {content: a, tool_calls: [{name: t}]}'), '5:38', '"arguments" is missing'],
    ['model: m\nrules: []\ndelay_ms: 100000', '3:11', 'from 0 to 60000'],
    ['model: m\nvariables: {result: {}}\nrules: []', '2:21', 'cannot be the name'],
  ])('%j is refused at %s with the cure', (text, at, cure) => {
    let error: unknown = null;
    try {
      parseScript('s.yaml', text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PlatformError);
    expect(String(error)).toContain(cure);
    expect((error as PlatformError).message.startsWith(`s.yaml:${at}: `)).toBe(true);
  });
});
