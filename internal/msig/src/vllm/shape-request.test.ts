import { PlatformError } from '@openeaap/kernel';
import { describe, expect, it } from 'vitest';
import type { Access } from '../access.ts';
import type { VllmConfig } from '../config/gateway-config.ts';
import { REQUEST_KINDS } from '../request/model-request.ts';
import type { ModelRequest, RequestKind } from '../request/model-request.ts';
import { replaceMembers } from '../request/replace-members.ts';
import { shapeForVllm } from './shape-request.ts';

const config: VllmConfig = { cacheSharing: 'tenant', priority: false, metricsIntervalMs: 0 };
const access: Access = { tenantId: 'acme', runId: '', stepId: '', agentId: '', userId: 'ada', traceId: '', keyId: 'key-1' };

function requestOf(body: object, kind: RequestKind = 'chat'): ModelRequest {
  const text = JSON.stringify(body);
  return { kind, text, body: JSON.parse(text) as ModelRequest['body'], model: '', isStream: false, wantsUsage: false, wantsUsageOnEveryChunk: false, choices: 1, maxTokens: null };
}

const shape = (body: object, change: { readonly config?: Partial<VllmConfig>; readonly access?: Partial<Access>; readonly kind?: RequestKind; readonly saltKey?: string } = {}) =>
  shapeForVllm(requestOf(body, change.kind), { access: { ...access, ...change.access }, config: { ...config, ...change.config }, saltKey: change.saltKey ?? 'salt key' });
const saltOf = (change: Parameters<typeof shape>[1]): unknown => JSON.parse(shape({}, change)['cache_salt'] ?? 'null');
const sent = (text: string, members: Readonly<Record<string, string | null>>): Record<string, unknown> => JSON.parse(replaceMembers(text, members)) as Record<string, unknown>;

describe('the salt of the prefix cache', () => {
  it('has 43 characters that vLLM takes, the same for the same tenant at every node', () => {
    expect(saltOf({})).toMatch(/^[\w-]{43}$/);
    expect(saltOf({ access: { userId: 'bob', keyId: 'key-2' } })).toBe(saltOf({}));
  });

  it('is another for each tenant and each secret', () => {
    expect(new Set([saltOf({}), saltOf({ access: { tenantId: 'acme2' } }), saltOf({ saltKey: 'other' })]).size).toBe(3);
  });

  it('is another for each key where keys share nothing; a step without a key has its person\'s', () => {
    const salt = (part: Partial<Access>): unknown => saltOf({ config: { cacheSharing: 'key' }, access: part });
    const salts = [salt({}), salt({ keyId: 'key-2' }), salt({ keyId: '', userId: 'ada' }), salt({ keyId: '', userId: 'bob' }), salt({ keyId: '', userId: 'key-1' }), saltOf({})];
    expect(new Set(salts).size).toBe(salts.length);
  });

  it('cannot be made to meet another\'s by names that run together', () => {
    const salt = (tenantId: string, keyId: string): unknown => saltOf({ config: { cacheSharing: 'key' }, access: { tenantId, keyId } });
    expect(salt('a', 'b","key","c')).not.toBe(salt('a","key","b', 'c'));
  });

  it.each(REQUEST_KINDS)('goes with %s and replaces every salt that the client wrote', (kind) => {
    const text = '{"cache_salt":"mine","model":"m","cache_\\u0073alt":"mine too"}';
    const body = sent(text, shapeForVllm({ ...requestOf({}, kind), text, body: { cache_salt: 'mine too' } }, { access, config, saltKey: 'salt key' }));
    expect(body).toMatchObject({ cache_salt: saltOf({}), model: 'm' });
  });

  it('is left out where all share, also the client\'s own', () => {
    expect(sent('{"cache_salt":"mine"}', shape({}, { config: { cacheSharing: 'all' } }))).not.toHaveProperty('cache_salt');
  });
});

describe('the priority', () => {
  it('is the access\'s where the server schedules by it', () => {
    expect(sent('{"priority":-99}', shape({ priority: -99 }, { config: { priority: true }, access: { priority: 7 } }))).toHaveProperty('priority', 7);
    expect(shape({}, { config: { priority: true } })).toHaveProperty('priority', '0');
  });

  it('is taken out elsewhere, for the server would refuse the request', () => {
    expect(sent('{"priority":-99}', shape({ priority: -99 }, { access: { priority: 7 } }))).not.toHaveProperty('priority');
  });
});

describe('members that only an operator may set', () => {
  it.each([
    ['chat_template', '{{ messages }}'],
    ['kv_transfer_params', { do_remote_prefill: true }],
    ['ec_transfer_params', {}],
    ['vllm_xargs', { kv_transfer_params: 1 }],
    ['media_io_kwargs', { video: { num_frames: 1e9 } }],
    ['mm_processor_kwargs', { size: 1e9 }],
    ['prompt_embeds', 'gAJ9'],
    ['logits_processors', ['os.system']],
    ['previous_response_id', 'resp_1'],
    ['previous_input_messages', []],
    ['background', true],
  ])('refuses %s, and says what to do instead', (name, value) => {
    expect(() => shape({ [name]: value })).toThrow(PlatformError);
    expect(() => shape({ [name]: value })).toThrow(new RegExp(`^'${name}' is not taken for this model\\. .`));
  });

  it('refuses a template among the variables of the template, and takes the others', () => {
    expect(() => shape({ chat_template_kwargs: { chat_template: 'x' } })).toThrow(/'chat_template_kwargs\.chat_template'/);
    expect(sent('{"chat_template_kwargs":{"enable_thinking":false}}', shape({ chat_template_kwargs: { enable_thinking: false } }))).toHaveProperty('chat_template_kwargs.enable_thinking', false);
  });

  it('takes null as left out, and sends none of a member that was said twice', () => {
    const text = '{"chat_template":"{{ x }}","background":false,"chat_template":null}';
    expect(sent(text, shape(JSON.parse(text) as object))).not.toHaveProperty('chat_template');
  });

  it('lets nobody name a request or a session of the server', () => {
    expect(sent('{"request_id":"theirs","session_id":"theirs","x":1}', shape({}))).not.toMatchObject({ request_id: 'theirs' });
    expect(shape({})).toMatchObject({ request_id: null, session_id: null });
  });

  it('keeps no answers at the server', () => {
    expect(sent('{"store":true}', shape({}, { kind: 'responses' }))).toHaveProperty('store', false);
    expect(shape({}, { kind: 'chat' })).not.toHaveProperty('store');
  });

  it('leaves everything else to the client', () => {
    const body = { top_k: 5, min_p: 0.1, structured_outputs: { choice: ['a'] }, prompt_logprobs: 1, return_token_ids: true, seed: 1, logit_bias: { 1: 2 }, unheard_of: { deep: [1] } };
    expect(sent(JSON.stringify(body), shape(body))).toMatchObject(body);
  });
});
