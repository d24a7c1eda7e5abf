import { describe, expect, it } from 'vitest';
import type { BackendConfig } from '../config/gateway-config.ts';
import { createModelTable } from './model-table.ts';
import { selectBackend } from './select-backend.ts';
import { aBackend, aConfig } from './testing/a-fleet.ts';

const names = (backends: readonly BackendConfig[]) => backends.map(({ name }) => name);
const find = (backends: readonly BackendConfig[], model: string, defaultBackend?: string) => createModelTable(aConfig(backends, defaultBackend === undefined ? {} : { defaultBackend }))(model);

describe('a word in the place of the model', () => {
  const backends = [
    aBackend('a', { model: 'gpt', capabilities: ['chat', 'code'] }),
    aBackend('b', { model: 'qwen', capabilities: ['chat'], adapters: ['qwen-law', 'code'] }),
    aBackend('c', { model: 'qwen', capabilities: ['chat', 'code', 'a'] }),
    aBackend('gpt', { model: 'x' }),
  ];

  it.each([
    ['the name of a backend', 'a', 'name', ['a']],
    ['a name before a model', 'gpt', 'name', ['gpt']],
    ['the model that several send', 'qwen', 'model', ['b', 'c']],
    ['an adapter', 'qwen-law', 'adapter', ['b']],
    ['an adapter before a capability', 'code', 'adapter', ['b']],
    ['a capability', 'chat', 'set', ['a', 'b', 'c']],
    ['whatever suits', 'auto', 'set', ['a', 'b', 'c', 'gpt']],
    ['nothing: the default, and who can do all that it can', '', 'set', ['a', 'c']],
    ['the default by its word', 'default', 'set', ['a', 'c']],
  ] as const)('is %s', (_what, model, by, members) => {
    const found = find(backends, model);
    expect([found.by, names(found.backends)]).toEqual([by, members]);
  });

  it('has the default backend first', () => {
    expect(names(find(backends, 'chat', 'c').backends)).toEqual(['c', 'a', 'b']);
    expect(selectBackend(aConfig(backends, { defaultBackend: 'c' }), 'qwen').name).toBe('c');
  });

  it('may be what the gateway has a word for, where a backend is called so', () => {
    expect(names(find([aBackend('a'), aBackend('auto'), aBackend('default')], 'auto').backends)).toEqual(['auto']);
    expect(names(find([aBackend('a'), aBackend('default')], 'default').backends)).toEqual(['default']);
  });

  it('that nobody knows is answered with what there is', () => {
    expect(() => find(backends, 'nope')).toThrow(expect.objectContaining({ code: 'not_found', message: 'No model backend is called "nope" and none has it as a capability. Backends: a, b, c, gpt. Capabilities: chat, code, a.' }));
    expect(() => find([aBackend('a', { model: '' })], 'toString')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });

  it('never stands for a script beside a model, but for one alone', () => {
    const mixed = [aBackend('demo', { type: 'scripted', endpoints: [], capabilities: ['chat', 'demo'] }), aBackend('real', { capabilities: ['chat'] })];
    expect(names(find(mixed, 'chat').backends)).toEqual(['real']);
    expect(names(find(mixed, 'auto').backends)).toEqual(['real']);
    expect(names(find(mixed, 'demo').backends)).toEqual(['demo']);
    expect(names(find(mixed, '').backends)).toEqual(['demo']);
    expect(names(find(mixed, '', 'real').backends)).toEqual(['real']);
  });

  it('leaves the house for nobody who asked for nothing', () => {
    const pair = [aBackend('in', { capabilities: ['chat'] }), aBackend('out', { capabilities: ['chat'], external: true })];
    expect(names(find(pair, '').backends)).toEqual(['in']);
    expect(names(find(pair, 'chat').backends)).toEqual(['in', 'out']);
    expect(names(find(pair, '', 'out').backends)).toEqual(['out', 'in']);
  });
});

describe('fallbacks', () => {
  it('are followed, nearest first, and each comes once', () => {
    const backends = [aBackend('a', { fallbacks: ['b', 'c'] }), aBackend('b', { fallbacks: ['d', 'a'] }), aBackend('c', { fallbacks: ['d', 'b'] }), aBackend('d', { fallbacks: ['a'] }), aBackend('e')];
    expect(names(find(backends, 'a').fallbacks)).toEqual(['b', 'c', 'd']);
    expect(names(find(backends, 'd').fallbacks)).toEqual(['a', 'b', 'c']);
    expect(names(find(backends, 'e').fallbacks)).toEqual([]);
    expect(names(find(backends, 'auto').fallbacks)).toEqual([]);
  });
});
