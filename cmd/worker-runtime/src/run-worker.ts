import { DRAIN_MS, announcement, loadPluginTls, servePlugin } from '@openeaap/adapter';
import type { PluginLog, PluginSettings } from '@openeaap/adapter';
import { randomIds } from '@openeaap/kernel';
import { createOpenAiChat } from '@openeaap/msig';
import { createWorkerRuntime } from './create-worker-runtime.ts';

export interface WorkerOptions {
  readonly settings: PluginSettings;
  readonly version: string;
  readonly log: PluginLog;
  /** Standard output: the announcement and nothing else. */
  readonly announce: (line: string) => void;
}

/** Serves until `stop` aborts, then ends in order. Errors: invalid_input and unavailable of servePlugin, before anything is announced. */
export async function runWorker({ settings, version, log, announce }: WorkerOptions, stop: AbortSignal): Promise<void> {
  const chat = createOpenAiChat({ now: Date.now, newId: randomIds.newId, random: Math.random });
  try {
    const plugin = await servePlugin({
      name: settings.name ?? 'native',
      version,
      sdk: { language: 'typescript', version },
      runtime: createWorkerRuntime(chat, version),
      listen: settings.listen,
      token: settings.token,
      tls: settings.tls === null ? null : await loadPluginTls(settings.tls),
      log,
    });
    announce(announcement(plugin.address));
    log({ level: 'info', message: 'The native runtime listens.', listen: plugin.address });
    await aborted(stop);
    await plugin.close(DRAIN_MS);
  } finally {
    await chat.close();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
