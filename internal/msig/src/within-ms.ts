/** What became of work that may take so long. */
export type InTime<T> = { readonly kind: 'done'; readonly value: T } | { readonly kind: 'failed'; readonly reason: unknown } | { readonly kind: 'late' };

const LATE = { kind: 'late' } as const;

/**
 * Waits that long and no longer; never rejects. What is late goes on, and nobody hears how it ends.
 * A busy event loop fires timers before it reads what has arrived, so after the time there is one more look.
 */
export async function withinMs<T>(ms: number, work: Promise<T>): Promise<InTime<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<InTime<T>>((resolve) => {
    timer = setTimeout(() => setImmediate(() => resolve(LATE)), ms);
  });
  const ended = work.then((value): InTime<T> => ({ kind: 'done', value }), (reason: unknown): InTime<T> => ({ kind: 'failed', reason }));
  const first = await Promise.race([ended, late]);
  clearTimeout(timer);
  return first;
}
