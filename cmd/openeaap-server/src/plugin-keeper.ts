import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { PlatformError, createBell, toPlatformError } from '@openeaap/kernel';
import type { PluginDeclaration, Registry, WantedPlugin } from '@openeaap/registry';
import { parseDeclaration } from '@openeaap/registry';
import { listPlugins } from '@openeaap/store';
import { TENANT } from './access.ts';

/**
 * Keeps the plugins of this node what they are declared to be: those of configs/plugins.yaml and those of the API,
 * which every node reads from the store, at a notice and now and then without one.
 */
export interface PluginKeeper {
  /** Looks now. Errors: PlatformError `unavailable`. */
  readonly sync: () => Promise<void>;
  /** Somebody says that something has changed. */
  readonly wake: () => void;
  readonly stop: () => Promise<void>;
}

export interface PluginKeeperOptions {
  readonly pool: Pool;
  readonly registry: Registry;
  /** Those of the file. */
  readonly declared: readonly PluginDeclaration[];
  readonly log: Logger;
}

/** A notice wakes us; this is for the one that was lost. */
const LOOK_EVERY_MS = 10_000;

export function createPluginKeeper({ pool, registry, declared, log }: PluginKeeperOptions): PluginKeeper {
  const bell = createBell();
  const closing = new AbortController();
  let looking: Promise<void> = Promise.resolve();
  const sync = (): Promise<void> => {
    looking = looking.catch(() => undefined).then(look);
    return looking;
  };
  const over = loop();
  return {
    sync,
    wake: bell.ring,
    stop: async () => {
      closing.abort();
      await over;
    },
  };

  async function loop(): Promise<void> {
    for (;;) {
      await bell.wait(LOOK_EVERY_MS, closing.signal);
      if (closing.signal.aborted) return;
      await sync().catch((thrown: unknown) => log.warn({ code: toPlatformError(thrown).code }, 'the declared plugins could not be read; it will be tried again'));
    }
  }

  async function look(): Promise<void> {
    const stored = await listPlugins(pool, TENANT);
    const generationOf = (name: string): number => stored.find((row) => row.name === name)?.generation ?? 1;
    registry.declare('file', declared.map((declaration) => ({ declaration, generation: generationOf(declaration.name) })));
    registry.declare('api', stored.flatMap((row) => (row.declaration === null ? [] : toWanted(row.declaration, row.generation))));
  }

  /** A row that this version cannot use must not keep the others from running. */
  function toWanted(declaration: unknown, generation: number): readonly WantedPlugin[] {
    try {
      const parsed = parseDeclaration(declaration, { at: 'plugin', source: 'api' });
      if (declared.some(({ name }) => name === parsed.name)) throw new PlatformError('conflict', `The plugin "${parsed.name}" is in configs/plugins.yaml too; the file counts.`);
      return [{ declaration: parsed, generation }];
    } catch (thrown) {
      log.warn({ detail: toPlatformError(thrown).message }, 'a declared plugin is left out');
      return [];
    }
  }
}
