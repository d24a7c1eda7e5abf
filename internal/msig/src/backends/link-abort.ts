/** An AbortController of its own that also aborts with its parent. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  readonly abort: (reason: Error) => void;
  /** Takes the listener off the parent; a long-lived parent would collect them otherwise. */
  readonly unlink: () => void;
}

export function linkAbort(parent: AbortSignal): LinkedAbort {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent.reason);
  if (parent.aborted) follow();
  else parent.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => parent.removeEventListener('abort', follow),
  };
}
