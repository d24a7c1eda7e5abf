import { cutToWidth, displayWidth, padToWidth } from './display-width.ts';

export interface Column {
  readonly title: string;
  /** Longer cells are cut, in terminal columns; unset: never. */
  readonly maxWidth?: number;
}

/** Rows in aligned columns under their titles; no trailing spaces, no final newline. */
export function toTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => columns.map((column, i) => toCell(row[i] ?? '', column)))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => displayWidth(row[i] ?? ''))));
  return cells.map((row) => row.map((cell, i) => padToWidth(cell, widths[i] ?? 0)).join('  ').trimEnd()).join('\n');
}

/** `name  value` lines; values of several lines are indented below their first. */
export function toFields(fields: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...fields.map(([name]) => displayWidth(name)));
  return fields.map(([name, value]) => `${padToWidth(name, width)}  ${value.replaceAll('\n', `\n${' '.repeat(width + 2)}`)}`.trimEnd()).join('\n');
}

function toCell(text: string, column: Column): string {
  const line = text.replace(/\s*\n\s*/g, ' ');
  return column.maxWidth === undefined ? line : cutToWidth(line, column.maxWidth);
}
