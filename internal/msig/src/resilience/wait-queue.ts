/** Who waits, the lowest priority number first, and in the order of arrival where it is equal. */
export interface WaitQueue<T> {
  readonly size: () => number;
  readonly first: () => T | undefined;
  /** The last in line, if its priority number is above this one. */
  readonly lastAfter: (priority: number) => T | undefined;
  readonly add: (item: T, priority: number) => void;
  readonly remove: (item: T) => void;
}

/** Unbounded: whoever adds looks at the size first. All is cheap while there are few different priorities. */
export function createWaitQueue<T>(): WaitQueue<T> {
  /** A set keeps the order of arrival and takes out from anywhere at once. No set is empty. */
  const lines = new Map<number, Set<T>>();
  const priorities = new Map<T, number>();
  return {
    size: () => priorities.size,
    first: () => {
      const [item] = lines.get(Math.min(...lines.keys())) ?? [];
      return item;
    },
    lastAfter: (priority) => {
      const worst = Math.max(...lines.keys());
      return worst > priority ? [...(lines.get(worst) ?? [])].at(-1) : undefined;
    },
    add: (item, priority) => {
      const line = lines.get(priority) ?? new Set();
      line.add(item);
      lines.set(priority, line);
      priorities.set(item, priority);
    },
    remove: (item) => {
      const priority = priorities.get(item);
      if (priority === undefined) return;
      priorities.delete(item);
      const line = lines.get(priority);
      line?.delete(item);
      if (line?.size === 0) lines.delete(priority);
    },
  };
}
