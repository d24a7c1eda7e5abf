import { SpanStatusCode } from '@opentelemetry/api';
import type { Span, SpanOptions, Tracer } from '@opentelemetry/api';
import { trace } from '@opentelemetry/api';
import { PlatformError } from '@openeaap/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { parseGatewayConfig } from './config/config.ts';
import { createModelCatalog } from './routing/model-catalog.ts';
import { delta, json, startOpenAiServer, stream, usageChunk } from './testing/openai-server.ts';
import { ACCESS, backendAt, per1k, chatOptions, configOf, HELLO, makeGateway } from './testing/make-gateway.ts';
import { createUsageMeter } from './accounting/usage-meter.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const SCRIPT = 'model: m\nrules: [{name: all, reply: {content: "echo {{input}}"}}]';
const SCRIPTED = { ...backendAt(''), name: 'demo', type: 'scripted' as const, script: 'x', labels: { simulated: 'true' }, capabilities: ['security_analysis'] };

describe('a backend', () => {
  const config = configOf(
    backendAt('http://a', { name: 'a', model: 'gpt', capabilities: ['x'] }),
    backendAt('http://b', { name: 'b', model: 'b-model', capabilities: ['x', 'y'] }),
  );

  it.each([['', 'a'], ['default', 'a'], ['a', 'a'], ['b', 'b'], ['gpt', 'a'], ['b-model', 'b'], ['x', 'a'], ['y', 'b']])('is chosen for %j: %s', (model, name) => {
    expect(createModelCatalog(config).find(model, {}).name).toBe(name);
  });

  it('that is the default wins among several with a capability', () => {
    expect(createModelCatalog({ ...config, defaultBackend: 'b' }).find('x', {}).name).toBe('b');
  });

  it('that nobody has is not_found, with what there is', async () => {
    const gateway = makeGateway(configOf(SCRIPTED), { script: SCRIPT });
    await expect(gateway.chat({ ...HELLO, model: 'nope' }, chatOptions())).rejects.toMatchObject({
      code: 'not_found', details: { model: 'nope', backends: ['demo'], capabilities: ['security_analysis'] },
    });
  });
});

describe('the gateway', () => {
  it('lists its models with the default first', () => {
    const gateway = makeGateway({ ...configOf(backendAt('http://a'), SCRIPTED), defaultBackend: 'demo' }, { script: SCRIPT });
    expect(gateway.models()).toEqual([
      { name: 'demo', type: 'scripted', labels: { simulated: 'true' }, capabilities: ['security_analysis'] },
      { name: 'b1', type: 'openai', labels: {}, capabilities: ['general_chat'] },
    ]);
    expect(gateway.health()).toMatchObject({ serving: true, backends: [{ state: 'unknown' }, { state: 'unknown' }] });
  });

  it('meters every chat of a step, failed ones too, until it is taken', async () => {
    const server = await startOpenAiServer(stream(delta({ content: 'a' }, 'stop'), usageChunk(10, 5)), json({}, 400), stream(delta({ content: 'b' }, 'stop'), usageChunk(1, 1)));
    const gateway = makeGateway(configOf(backendAt(server.url, { prices: per1k(0.5) })));
    closers.push(server.close, gateway.close);
    await gateway.chat(HELLO, chatOptions());
    await expect(gateway.chat(HELLO, chatOptions())).rejects.toThrow(PlatformError);
    await gateway.chat(HELLO, chatOptions());
    const seen = gateway.meter.take('s1');
    expect(seen).toMatchObject({ calls: 3, backend: 'b1', model: 'served-model', usage: { promptTokens: 11, completionTokens: 6, costUsdMicros: 8_500 } });
    expect(seen.latencyMs).toBeGreaterThan(0);
    expect(gateway.meter.take('s1')).toEqual({ usage: { promptTokens: 0, completionTokens: 0, costUsdMicros: 0 }, calls: 0, backend: '', model: '', latencyMs: 0 });
    expect(gateway.observed.map((event) => event.outcome)).toEqual(['ok', 'model_rejected', 'ok']);
    expect(gateway.observed[0]).toMatchObject({ backend: 'b1', model: 'served-model', access: ACCESS });
  });

  it('counts a whole chat of two tries as one call', async () => {
    const server = await startOpenAiServer(json({}, 503), stream(delta({ content: 'a' }, 'stop'), usageChunk(2, 1)));
    const gateway = makeGateway(configOf(backendAt(server.url)));
    closers.push(server.close, gateway.close);
    await gateway.chat(HELLO, chatOptions());
    expect(gateway.meter.take('s1')).toMatchObject({ calls: 1, usage: { promptTokens: 2 } });
    expect(gateway.health().backends).toMatchObject([{ name: 'b1', state: 'up', detail: '' }]);
  });

  it('forgets the oldest steps when nobody takes them', () => {
    const meter = createUsageMeter(2);
    const seen = { usage: { promptTokens: 1, completionTokens: 0, costUsdMicros: 0 }, backend: 'b', model: 'm', latencyMs: 1 };
    for (const step of ['s1', 's2', 's3']) meter.add(step, seen);
    expect(['s1', 's2', 's3'].map((step) => meter.take(step).calls)).toEqual([0, 1, 1]);
  });

  it('refuses a script that cannot be used when it is created', () => {
    expect(() => makeGateway(configOf(SCRIPTED), { script: 'model: m' })).toThrow('x:1:1: The key "rules" is missing');
  });

  it('works as shipped with the configuration and its script', async () => {
    const { readFileSync } = await import('node:fs');
    const at = (path: string): string => readFileSync(new URL(`../../../configs/${path}`, import.meta.url), 'utf8');
    const config = parseGatewayConfig(at('msig.yaml'), {});
    const gateway = makeGateway(config, { script: at(config.backends[0]?.script ?? '') });
    const reply = await gateway.chat({ ...HELLO, model: 'security_analysis' }, chatOptions());
    expect(reply).toMatchObject({ backend: 'scripted-demo', model: 'scripted-demo', usage: { costUsdMicros: 0, estimated: true } });
  });
});

describe('the span LLM.Invoke', () => {
  it('carries the names and counts of both vocabularies and no word of the conversation', async () => {
    const recorded = recordSpans();
    const server = await startOpenAiServer(stream(delta({ content: 'top secret answer' }, 'stop'), usageChunk(10, 5)), json({}, 401));
    const gateway = makeGateway(configOf(backendAt(server.url)), { tracer: recorded.tracer });
    closers.push(server.close, gateway.close);
    await gateway.chat({ ...HELLO, maxTokens: 64 }, chatOptions());
    await expect(gateway.chat(HELLO, chatOptions())).rejects.toThrow(PlatformError);
    expect(recorded.spans).toHaveLength(2);
    expect(recorded.spans[0]).toMatchObject({
      name: 'LLM.Invoke',
      ended: true,
      attributes: {
        'llm.model': 'm1', 'llm.prompt_tokens': 10, 'llm.completion_tokens': 5,
        'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'm1', 'gen_ai.response.model': 'served-model',
        'gen_ai.usage.input_tokens': 10, 'gen_ai.usage.output_tokens': 5, 'gen_ai.request.max_tokens': 64, 'gen_ai.response.finish_reasons': ['stop'],
      },
    });
    expect(recorded.spans[1]).toMatchObject({ ended: true, status: SpanStatusCode.ERROR, attributes: { 'error.type': 'model_rejected' } });
    expect(JSON.stringify(recorded.spans)).not.toMatch(/hello|be brief|top secret/);
  });
});

interface RecordedSpan {
  readonly name: string;
  readonly attributes: Record<string, unknown>;
  status: number | null;
  ended: boolean;
}

/** A tracer that only writes down; the real SDK is not a dependency of this room. */
function recordSpans(): { readonly tracer: Tracer; readonly spans: readonly RecordedSpan[] } {
  const spans: RecordedSpan[] = [];
  const silent = trace.getTracer('none');
  const startSpan = (name: string, options?: SpanOptions): Span => {
    const record: RecordedSpan = { name, attributes: { ...options?.attributes }, status: null, ended: false };
    spans.push(record);
    return Object.assign(Object.create(silent.startSpan(name)) as Span, {
      setAttribute: (key: string, value: unknown) => void (record.attributes[key] = value),
      isRecording: () => true,
      setAttributes: (attributes: Record<string, unknown>) => void Object.assign(record.attributes, attributes),
      setStatus: (status: { code: number }) => void (record.status = status.code),
      end: () => void (record.ended = true),
    });
  };
  return { tracer: { startSpan, startActiveSpan: silent.startActiveSpan.bind(silent) }, spans };
}
