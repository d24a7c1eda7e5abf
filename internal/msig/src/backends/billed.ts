import type { BackendCall, TokenCounts } from './backend.ts';

/**
 * Runs one try and tells its usage once: when it has ended, however it ended, or while an abort is
 * being told, so that whoever aborts may settle the bill at once. `usage`: as far as it is known;
 * null: none.
 */
export async function billed<T>(call: Pick<BackendCall, 'signal' | 'onUsage'>, usage: () => TokenCounts | null, work: () => Promise<T>): Promise<T> {
  let isTold = false;
  const tell = (): void => {
    const known = usage();
    if (isTold || known === null) return;
    isTold = true;
    call.onUsage(known);
  };
  call.signal.addEventListener('abort', tell, { once: true });
  try {
    return await work();
  } finally {
    call.signal.removeEventListener('abort', tell);
    tell();
  }
}
