import { PlatformError } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import type { BackendConfig, GatewayConfig } from '../config/gateway-config.ts';
import { createModelTable, DEFAULT_MODEL } from './model-table.ts';
import type { Candidates, ModelTable } from './model-table.ts';

/** Who asks, as far as it decides what may be asked for. */
export type Asker = Pick<Access, 'models'>;

/** What there is to ask for, by a word and for whoever asks. */
export interface ModelCatalog {
  /** What the word stands for, less what is not for this key. Errors: `not_found` with what there is for it, `permission_denied`. */
  readonly allowed: (model: string, asker: Asker) => Candidates;
  /** The first of those; of any request in particular it says nothing. Errors: the same. */
  readonly find: (model: string, asker: Asker) => BackendConfig;
  /** All that some word leads to, the default backend first. */
  readonly visible: (asker: Asker) => readonly BackendConfig[];
}

export function createModelCatalog(config: GatewayConfig): ModelCatalog {
  const table = createModelTable(config);
  const allowed = (model: string, { models = null }: Asker): Candidates => {
    const candidates = table.find(model);
    if (candidates === null) throw noSuchModel(model, { config, table, models });
    const kept = keepAllowed(candidates, { model, models });
    if (kept.backends.length === 0) throw notForThisKey(model, models ?? []);
    return kept;
  };
  return {
    allowed,
    find: (model, asker) => {
      const [first] = allowed(model, asker).backends;
      if (first === undefined) throw new PlatformError('internal', `The model "${model}" stands for nobody.`);
      return first;
    },
    visible: ({ models = null }) => {
      if (models === null) return table.backends;
      const reached = new Set(table.words.flatMap((model) => reachedBy(table, { model, models })));
      return table.backends.filter((backend) => reached.has(backend));
    },
  };
}

interface Asked {
  readonly model: string;
  /** null: all. */
  readonly models: readonly string[] | null;
}

/**
 * The key's list holds names that may be asked for. Who asks for a set by a word that is not on it
 * gets the members that are; a fallback must be on it too, by its name, its model or a capability.
 */
function keepAllowed(candidates: Candidates, { model: word, models }: Asked): Candidates {
  if (models === null) return candidates;
  const { by, backends, fallbacks } = candidates;
  const isNamed = ({ name, model }: BackendConfig): boolean => models.includes(name) || (by !== 'adapter' && models.includes(model));
  const isMember = (backend: BackendConfig): boolean => models.includes(backend.name) || models.includes(backend.model) || backend.capabilities.some((each) => models.includes(each));
  const allowed = models.includes(word === '' ? DEFAULT_MODEL : word) ? backends : backends.filter(by === 'set' ? isMember : isNamed);
  return { by, backends: allowed, fallbacks: fallbacks.filter(isMember) };
}

function reachedBy(table: ModelTable, asked: Asked): readonly BackendConfig[] {
  const candidates = table.find(asked.model);
  return candidates === null ? [] : keepAllowed(candidates, asked).backends;
}

/** Shows no name that the key could not ask for. */
function noSuchModel(model: string, { config, table, models }: { readonly config: GatewayConfig; readonly table: ModelTable } & Pick<Asked, 'models'>): PlatformError {
  const wanted = model.slice(0, 100);
  const isForAsker = (word: string): boolean => reachedBy(table, { model: word, models }).length > 0;
  const names = config.backends.map(({ name }) => name).filter(isForAsker);
  const capabilities = [...new Set(config.backends.flatMap((backend) => backend.capabilities))].filter(isForAsker);
  return new PlatformError('not_found', `No model backend is called "${wanted}" and none has it as a capability. Backends: ${names.join(', ') || 'none'}. Capabilities: ${capabilities.join(', ') || 'none'}.`, {
    details: { model: wanted, backends: names, capabilities },
  });
}

function notForThisKey(model: string, models: readonly string[]): PlatformError {
  const wanted = (model === '' ? DEFAULT_MODEL : model).slice(0, 100);
  return new PlatformError('permission_denied', `This key may not use the model "${wanted}". It may use: ${models.slice(0, 20).join(', ') || 'none'}.`, { details: { field: 'model', model: wanted } });
}
