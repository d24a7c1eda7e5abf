import { PlatformError } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import type { BackendConfig, GatewayConfig, Prices } from '../config/gateway-config.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { CHARS_PER_TOKEN, latinLength } from '../request/estimate-usage.ts';
import type { Plan } from './fleet.ts';
import { isSimple } from './is-simple.ts';
import type { ModelCatalog } from './model-catalog.ts';
import { DEFAULT_MODEL } from './model-table.ts';
import type { Candidates } from './model-table.ts';
import { promptFactsOf } from './prompt-facts.ts';
import type { PromptFacts } from './prompt-facts.ts';
import type { ServerPool } from './server-pool.ts';

interface PlanDeps {
  readonly catalog: Pick<ModelCatalog, 'allowed'>;
  readonly poolOf: (backend: BackendConfig) => Pick<ServerPool, 'standing' | 'promiseProbe' | 'expectedFirstByteMs'>;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** A request with what is found out about it only where something depends on it. */
interface Asked {
  readonly request: ModelRequest;
  readonly access: Access;
  readonly facts: () => PromptFacts;
}

/** Prompts are estimated too high as often as too low: one that might have half the tokens is not refused for its length. */
const ESTIMATE_LOW_SHARE = 0.5;
/** Of an answer whose length nobody asked for, and the most that is expected of one: most stay below their bound. */
const ANSWER_TOKENS = 512;
/** Backends within a fifth of the fastest are as fast. */
const EQUAL_SPEED = 1.2;
/** Of the requests, to find out how fast a backend is whose speed is not known. */
const EXPLORE_SHARE = 0.1;
const CONFIDENTIAL = 3;

/** `Fleet.plan`: the backends that a word stands for, less those that may not or cannot answer, in the order of the strategy. */
export function createPlanner(config: GatewayConfig, { catalog, poolOf, random }: PlanDeps): (request: ModelRequest, access: Access) => Plan {
  return (request, access) => {
    const candidates = catalog.allowed(request.model, access);
    const asked: Asked = { request, access, facts: once(() => promptFactsOf(request)) };
    const able = keepAble(candidates, asked);
    const ordered = able.backends.length > 1 ? orderOf(config, candidates.by, { asked, backends: able.backends, poolOf, random }) : able.backends;
    const backends = [...ordered, ...able.fallbacks];
    return { backends: backends.length === 1 ? backends : lastOnesLast(backends, poolOf), fallbacks: ordered.length === 0 ? [] : able.fallbacks };
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

type Able = Pick<Candidates, 'backends' | 'fallbacks'>;

/** Errors name what would help. The order matters: what may not be used is not told of. */
function keepAble(able: Able, asked: Asked): Able {
  const { request, access } = asked;
  // Responses are made from chat where a server has none.
  const speaking = keep(able, ({ kinds }) => kinds.includes(request.kind) || (request.kind === 'responses' && kinds.includes('chat')));
  if (isNobody(speaking)) throw new PlatformError('invalid_input', `The model "${nameOf(request)}" cannot be asked for ${request.kind}. Name a backend that has "${request.kind}" among its kinds.`, { details: { field: 'model', kind: request.kind } });
  const inside = (access.sensitivity ?? 1) >= CONFIDENTIAL ? keep(speaking, ({ external }) => !external) : speaking;
  if (isNobody(inside)) {
    throw new PlatformError('policy_denied', `The request holds Confidential content, and every backend for "${nameOf(request)}" is outside the house. Ask for an internal one, or leave the content out.`, {
      details: { reason: 'confidential', model: nameOf(request) },
    });
  }
  return keepRoomy(inside, asked);
}

function keepRoomy(able: Able, { request, facts }: Asked): Able {
  if (isShorterThanAny(able, request)) return able;
  const room = (share: number) => keep(able, ({ contextWindow }) => contextWindow === null || Math.ceil(facts().longestTokens * share) + (request.maxTokens ?? 0) <= contextWindow);
  const fitting = room(1);
  if (!isNobody(fitting)) return fitting;
  const perhaps = room(ESTIMATE_LOW_SHARE);
  if (!isNobody(perhaps)) return perhaps;
  const largest = Math.max(...[...able.backends, ...able.fallbacks].map(({ contextWindow }) => contextWindow ?? 0));
  throw new PlatformError(
    'invalid_input',
    `The prompt has about ${facts().longestTokens} tokens${request.maxTokens === null ? '' : ` and the answer may have ${request.maxTokens}`}; the largest context window of "${nameOf(request)}" is ${largest} tokens. Shorten the messages, or ask for fewer tokens.`,
    { details: { field: request.kind === 'chat' ? 'messages' : 'input', reason: 'context_length_exceeded', prompt_tokens: facts().longestTokens, context_window: largest } },
  );
}

/** The body is never shorter than the texts in it; most requests need not be walked through. */
function isShorterThanAny({ backends, fallbacks }: Able, { text, maxTokens }: ModelRequest): boolean {
  const windows = [...backends, ...fallbacks].flatMap(({ contextWindow }) => contextWindow ?? []);
  return windows.length === 0 || latinLength(text) / CHARS_PER_TOKEN + (maxTokens ?? 0) <= Math.min(...windows);
}

function keep({ backends, fallbacks }: Able, passes: (backend: BackendConfig) => boolean): Able {
  // Almost always all pass; then nothing is copied.
  return { backends: backends.every(passes) ? backends : backends.filter(passes), fallbacks: fallbacks.every(passes) ? fallbacks : fallbacks.filter(passes) };
}

const isNobody = ({ backends, fallbacks }: Able): boolean => backends.length + fallbacks.length === 0;
const nameOf = ({ model }: ModelRequest): string => (model === '' ? DEFAULT_MODEL : model.slice(0, 100));

interface Choosing extends Omit<PlanDeps, 'catalog'> {
  readonly asked: Asked;
  readonly backends: readonly BackendConfig[];
}

/** By size, then by the strategy; what is equal is drawn by weight. */
function orderOf(config: GatewayConfig, by: Candidates['by'], { asked, backends, poolOf, random }: Choosing): readonly BackendConfig[] {
  const sizeRank = by === 'set' ? sizeRankOf(config, asked, backends) : () => 0;
  const score = config.routingStrategy === 'cost_optimized' ? costOf(asked) : slownessOf(backends, poolOf, random);
  return backends
    .map((backend) => ({ backend, size: sizeRank(backend), score: score(backend), draw: drawOf(backend, random) }))
    .toSorted((a, b) => a.size - b.size || compare(a.score, b.score) || compare(a.draw, b.draw))
    .map(({ backend }) => backend);
}

/** Not by subtraction, for Infinity less Infinity is no number. */
const compare = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);

/** A simple request goes to the small models; another one to the large, and to a small one only when nothing else is left. */
function sizeRankOf(config: GatewayConfig, { request, facts }: Asked, backends: readonly BackendConfig[]): (backend: BackendConfig) => number {
  if (backends.every(({ size }) => size === null)) return () => 0;
  if (isSimple(request, config.routing.simple, facts())) return ({ size }) => (size === 'small' ? 0 : 1);
  return ({ size }) => (size === 'large' ? 0 : size === null ? 1 : 2);
}

/** USD for a million such requests: only compared. */
function costOf({ request, facts }: Asked): (backend: BackendConfig) => number {
  return ({ prices }) => {
    if (isFree(prices)) return 0;
    const answerTokens = Math.min(request.maxTokens ?? ANSWER_TOKENS, ANSWER_TOKENS) * request.choices;
    return facts().promptTokens * prices.input + answerTokens * prices.output;
  };
}

const isFree = ({ input, output }: Prices): boolean => input === 0 && output === 0;

/**
 * Milliseconds to the first byte; those that are nearly the fastest count as equal. One whose speed
 * nobody knows comes first now and then, so that it becomes known, and last otherwise.
 */
function slownessOf(backends: readonly BackendConfig[], poolOf: PlanDeps['poolOf'], random: () => number): (backend: BackendConfig) => number {
  const expected = new Map(backends.map((backend) => [backend, poolOf(backend).expectedFirstByteMs()]));
  const unknownMs = random() < EXPLORE_SHARE ? -1 : Number.POSITIVE_INFINITY;
  const fastestMs = Math.min(...[...expected.values()].filter((ms) => ms !== null));
  return (backend) => {
    const ms = expected.get(backend) ?? unknownMs;
    return ms >= 0 && ms <= fastestMs * EQUAL_SPEED ? 0 : ms;
  };
}

/** The smallest of such draws falls on each with a chance in proportion to its weight (Efraimidis and Spirakis 2006); weight 0: after all others. */
function drawOf({ weight }: BackendConfig, random: () => number): number {
  return weight === 0 ? Number.POSITIVE_INFINITY : -Math.log(1 - random()) / weight;
}

/** Those that cannot answer now are not dropped: all may be in that state, and what is first asked again finds out. */
function lastOnesLast(plan: readonly BackendConfig[], poolOf: PlanDeps['poolOf']): readonly BackendConfig[] {
  const standings = plan.map((backend) => poolOf(backend).standing());
  const sorted = standings.includes('last') ? [...plan.filter((_, at) => standings[at] !== 'last'), ...plan.filter((_, at) => standings[at] === 'last')] : plan;
  const [first] = sorted;
  if (first !== undefined && standings[plan.indexOf(first)] === 'probe') poolOf(first).promiseProbe();
  return sorted;
}
