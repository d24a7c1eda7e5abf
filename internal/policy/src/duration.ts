const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** `90s`, `30m`, `1h`, `2d` or a sum such as `1h30m`, in milliseconds; null when it is none of these or zero. */
export function parseDurationMs(text: string): number | null {
  if (!/^(?:\d{1,9}[smhd])+$/.test(text)) return null;
  let total = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([smhd])/g)) total += Number(count) * (UNIT_MS.get(unit ?? '') ?? 0);
  return total > 0 && Number.isSafeInteger(total) ? total : null;
}
