/** Calls once after `ms`, unless the returned function was called before. */
export type SetTimer = (call: () => void, ms: number) => () => void;

/** Does not keep the process. */
export const setRealTimer: SetTimer = (call, ms) => {
  const timer = setTimeout(call, ms);
  timer.unref();
  return () => clearTimeout(timer);
};
