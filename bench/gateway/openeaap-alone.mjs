// The gateway and its door without the rest of the platform, with one key. For development: what is measured is the server.
import { createHash } from 'node:crypto';
import { createOpenAiDoor } from '../../internal/http/dist/index.js';
import { createGateway, parseCompletion, parseGatewayConfig } from '../../internal/msig/dist/index.js';

let lastId = 0;
const newId = () => String((lastId += 1));
const config = parseGatewayConfig(
  JSON.stringify({ routing_strategy: 'cost_optimized', default_backend: 'bench-model', backends: [{ name: 'bench-model', type: 'vllm', endpoint: process.env.BENCH_UPSTREAM, model: 'bench-model', capabilities: ['general_chat'], cost_per_1k: 0.01 }], semantic_cache: { enabled: false, backend: 'memory', similarity_threshold: 0.92 } }),
  'bench', {},
);
const gateway = createGateway(config, { now: Date.now, newId, random: Math.random, readScript: () => '' });
const key = createHash('sha256').update('bench').digest('hex');
const attribution = { tenantId: 't', runId: '', stepId: '', agentId: '', userId: 'u', traceId: '' };
const session = {
  models: gateway.models,
  findModel: gateway.findModel,
  complete: (body, call) => gateway.complete(parseCompletion(body), { signal: call.signal, attribution, maxTokens: null, onChunk: call.onChunk }),
};
const logger = { info: () => undefined, warn: () => undefined, error: console.error, debug: () => undefined, trace: () => undefined, fatal: console.error, child: () => logger, level: 'warn' };
const door = createOpenAiDoor({ enter: (credential) => (createHash('sha256').update(credential).digest('hex') === key ? session : null) }, { newId, now: Date.now, logger });
await door.listen({ host: '127.0.0.1', port: 0 });
process.send({ ready: door.server.address().port });
process.on('disconnect', () => process.exit(0));
process.on('message', ({ id, command }) => {
  process.send({ id, result: null });
  if (command === 'close') process.exit(0);
});
