import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';

/** For OpenAI clients, which must name a model. */
export const DEFAULT_MODEL = 'default';
/** Whichever backend suits the request best. */
export const AUTO_MODEL = 'auto';

/** The backends that a word stands for. */
export interface Candidates {
  /** A `set` is what the gateway chooses from; the others say which model is meant. */
  readonly by: 'name' | 'model' | 'adapter' | 'set';
  /** Any of these may answer, the default one first. */
  readonly backends: readonly BackendConfig[];
  /** Their fallbacks and the fallbacks of those, nearest first, none of them twice. */
  readonly fallbacks: readonly BackendConfig[];
}

export interface ModelTable {
  /** null: nothing is called so. Where something is, it stands for one backend at least. */
  readonly find: (model: string) => Candidates | null;
  /** All that may be asked for, the empty one among them. */
  readonly words: readonly string[];
  /** The default one first. */
  readonly backends: readonly BackendConfig[];
}

/**
 * What `model` stands for: a backend's name, the model name that a backend sends, a LoRA adapter, a
 * capability, in this order; then `auto` for all backends. Empty is the default, and so is `default`
 * where nothing is called so.
 */
export function createModelTable(config: GatewayConfig): ModelTable {
  const ordered = config.backends.toSorted((a, b) => rank(config, a) - rank(config, b));
  const byName = new Map(ordered.map((backend) => [backend.name, backend]));
  const table = new Map<string, Candidates>();
  const enter = (by: Candidates['by'], word: string, members: readonly BackendConfig[]): void => {
    if (word !== '' && members.length > 0 && !table.has(word)) table.set(word, { by, backends: members, fallbacks: fallbacksOf(members, byName) });
  };
  const enterEach = (by: Candidates['by'], wordsOf: (backend: BackendConfig) => readonly string[]): void => {
    const members = new Map<string, BackendConfig[]>();
    for (const backend of ordered) {
      for (const word of new Set(wordsOf(backend))) members.set(word, [...(members.get(word) ?? []), backend]);
    }
    for (const [word, each] of members) enter(by, word, withoutScripted(each));
  };
  enterEach('name', ({ name }) => [name]);
  enterEach('model', ({ model }) => [model]);
  enterEach('adapter', ({ adapters }) => adapters);
  enterEach('set', ({ capabilities }) => capabilities);
  enter('set', AUTO_MODEL, withoutScripted(ordered));
  const standIns = standInsForDefault(ordered);
  enter('set', DEFAULT_MODEL, standIns);
  table.set('', { by: 'set', backends: standIns, fallbacks: fallbacksOf(standIns, byName) });
  return { find: (model) => table.get(model) ?? null, words: [...table.keys()], backends: ordered };
}

function rank(config: GatewayConfig, backend: BackendConfig): number {
  return backend.name === config.defaultBackend ? 0 : 1;
}

/** A scripted backend costs nothing and is quick, but it does not think: it never competes with a model. */
function withoutScripted(backends: readonly BackendConfig[]): readonly BackendConfig[] {
  const real = backends.filter(({ type }) => type !== 'scripted');
  return real.length === 0 ? backends : real;
}

/**
 * The default backend and those that have every capability of it. What asks for nothing leaves the
 * house only where the default does, and gets a scripted answer only where the default is scripted.
 */
function standInsForDefault([first, ...others]: readonly BackendConfig[]): readonly BackendConfig[] {
  if (first === undefined) return [];
  const { capabilities, external, type } = first;
  const canStandIn = (other: BackendConfig): boolean =>
    capabilities.length > 0 && capabilities.every((each) => other.capabilities.includes(each)) && (external || !other.external) && (type === 'scripted') === (other.type === 'scripted');
  return [first, ...others.filter(canStandIn)];
}

/** Level by level, so that what a member names itself comes before what its fallbacks name. Grows while it is walked; ends, for nobody is added twice. */
function fallbacksOf(members: readonly BackendConfig[], byName: ReadonlyMap<string, BackendConfig>): readonly BackendConfig[] {
  const reached = new Set(members);
  for (const backend of reached) {
    for (const name of backend.fallbacks) {
      const next = byName.get(name);
      if (next !== undefined) reached.add(next);
    }
  }
  return [...reached].slice(members.length);
}
