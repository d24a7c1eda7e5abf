const UNITS = [['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1_000]] as const;

/** `1.2 s`, `90 min`, `12 ms`. */
export function toDuration(ms: number): string {
  const [unit, size] = UNITS.find(([, each]) => Math.abs(ms) >= each * 2) ?? (Math.abs(ms) >= 1_000 ? (['s', 1_000] as const) : (['ms', 1] as const));
  const value = ms / size;
  const digits = Math.abs(value) < (unit === 'ms' ? 1 : 10) ? 1 : 0;
  return `${value.toFixed(digits).replace(/\.0$/, '')} ${unit}`;
}

/** `12.3 MiB`. */
export function toSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1_024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : String(Math.round(value))} ${units[power] ?? 'B'}`;
}

export const toCount = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
