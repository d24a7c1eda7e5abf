/** Entries in the order in which they came or were last used, bounded by number and bytes: the oldest go first. */
export interface OldestFirst<T> {
  readonly get: (key: string) => T | undefined;
  /** It is the newest again. */
  readonly use: (key: string) => void;
  /** Takes the place of what has the same key. false: it does not fit at all; what had the key is gone all the same. */
  readonly set: (key: string, entry: T) => boolean;
  readonly remove: (key: string) => void;
  readonly clear: () => void;
  readonly bytes: () => number;
  readonly size: () => number;
}

export interface OldestFirstOptions<T> {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly bytesOf: (entry: T) => number;
  readonly onRemoved?: (entry: T) => void;
}

export function createOldestFirst<T>({ maxEntries, maxBytes, bytesOf, onRemoved }: OldestFirstOptions<T>): OldestFirst<T> {
  const entries = new Map<string, T>();
  let bytes = 0;
  /** Stays at the front: a new one would look at all the gaps of those that went before. */
  let oldest = entries.keys();

  const remove = (key: string): void => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    bytes -= bytesOf(entry);
    onRemoved?.(entry);
  };
  const hasRoomFor = (cost: number): boolean => entries.size < maxEntries && bytes + cost <= maxBytes;
  const removeOldest = (): void => {
    let next = oldest.next();
    if (next.done === true) {
      oldest = entries.keys();
      next = oldest.next();
    }
    if (next.done !== true) remove(next.value);
  };

  return {
    get: (key) => entries.get(key),
    use: (key) => {
      const entry = entries.get(key);
      if (entry === undefined) return;
      entries.delete(key);
      entries.set(key, entry);
    },
    set: (key, entry) => {
      const cost = bytesOf(entry);
      remove(key);
      if (cost > maxBytes || maxEntries < 1) return false;
      while (!hasRoomFor(cost)) removeOldest();
      entries.set(key, entry);
      bytes += cost;
      return true;
    },
    remove,
    clear: () => {
      entries.clear();
      bytes = 0;
    },
    bytes: () => bytes,
    size: () => entries.size,
  };
}
