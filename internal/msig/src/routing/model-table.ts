import { PlatformError } from '@openeaap/kernel';
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

export type ModelTable = (model: string) => Candidates;

/**
 * What `model` stands for: a backend's name, the model name that a backend sends, a LoRA adapter, a
 * capability, in this order; then `auto` for all backends. Empty is the default, and so is `default`
 * where nothing is called so. Errors of the returned function: `not_found` with what there is to
 * choose from.
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
  const fallback: Candidates = { by: 'set', backends: standIns, fallbacks: fallbacksOf(standIns, byName) };
  return (model) => {
    const found = model === '' ? fallback : (table.get(model) ?? (model === DEFAULT_MODEL ? fallback : undefined));
    if (found === undefined || found.backends.length === 0) throw noSuchModel(config, model);
    return found;
  };
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

function noSuchModel(config: GatewayConfig, model: string): PlatformError {
  const wanted = model.slice(0, 100);
  const names = config.backends.map((backend) => backend.name);
  const capabilities = [...new Set(config.backends.flatMap((backend) => backend.capabilities))];
  return new PlatformError('not_found', `No model backend is called "${wanted}" and none has it as a capability. Backends: ${names.join(', ')}. Capabilities: ${capabilities.join(', ') || 'none'}.`, {
    details: { model: wanted, backends: names, capabilities },
  });
}
