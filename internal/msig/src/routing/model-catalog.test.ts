import { describe, expect, it } from 'vitest';
import type { BackendConfig } from '../config/gateway-config.ts';
import { createModelCatalog } from './model-catalog.ts';
import { aBackend, aConfig } from './testing/a-fleet.ts';

const names = (backends: readonly BackendConfig[]) => backends.map(({ name }) => name);
const find = (backends: readonly BackendConfig[], model: string, defaultBackend?: string) => createModelCatalog(aConfig(backends, defaultBackend === undefined ? {} : { defaultBackend })).allowed(model, {});

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
    expect(createModelCatalog(aConfig(backends, { defaultBackend: 'c' })).find('qwen', {}).name).toBe('c');
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

describe('a key', () => {
  const backends = [
    aBackend('small', { model: 'qwen', capabilities: ['chat'], adapters: ['law'], fallbacks: ['rescue'] }),
    aBackend('big', { model: 'gpt', capabilities: ['chat', 'code'] }),
    aBackend('rescue', { capabilities: ['emergency'] }),
    aBackend('demo', { type: 'scripted', endpoints: [], capabilities: ['chat'] }),
  ];
  const catalog = createModelCatalog(aConfig(backends, { defaultBackend: 'big' }));

  it.each([
    ['all, where it has no list, the default first', null, ['big', 'small', 'rescue', 'demo']],
    ['by a name', ['rescue'], ['rescue']],
    ['by a model', ['gpt'], ['big']],
    ['by an adapter', ['law'], ['small']],
    ['by a capability, which stands for no script beside a model', ['chat'], ['big', 'small']],
    ['by the default', ['default'], ['big']],
    ['by the word for all', ['auto'], ['big', 'small', 'rescue']],
    ['none by a word that nobody knows', ['gone'], []],
    ['none by an empty list', [], []],
  ] as const)('sees %s', (_what, models, expected) => {
    expect(names(catalog.visible({ models }))).toEqual(expected);
  });

  it('sees what a plan would take, and nothing else', () => {
    const words = ['small', 'big', 'rescue', 'demo', 'qwen', 'gpt', 'law', 'chat', 'code', 'emergency', 'auto', 'default', ''];
    for (const models of words.flatMap((one) => words.map((other) => [one, other]))) {
      const reached = words.flatMap((model) => {
        try {
          return names(catalog.allowed(model, { models }).backends);
        } catch {
          return [];
        }
      });
      expect([models, names(catalog.visible({ models })).toSorted()]).toEqual([models, [...new Set(reached)].toSorted()]);
    }
  });

  it('finds what it may use, and is not told of anything else', () => {
    expect([catalog.find('chat', { models: ['code'] }).name, catalog.find('law', { models: ['law'] }).name]).toEqual(['big', 'small']);
    expect(() => catalog.find('small', { models: ['law'] })).toThrow(expect.objectContaining({ code: 'permission_denied', message: 'This key may not use the model "small". It may use: law.' }));
    expect(() => catalog.find('nope', { models: ['small', 'emergency'] })).toThrow(
      expect.objectContaining({ code: 'not_found', message: 'No model backend is called "nope" and none has it as a capability. Backends: small. Capabilities: chat, emergency.', details: { model: 'nope', backends: ['small'], capabilities: ['chat', 'emergency'] } }),
    );
    expect(() => catalog.find('nope', { models: [] })).toThrow('Backends: none. Capabilities: none.');
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
