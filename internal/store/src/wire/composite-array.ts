import type { JsonValue } from '@openeaap/kernel';
import { toStorable } from '@openeaap/security';
import { toJsonb } from '../database.ts';
import { createByteWriter } from './byte-writer.ts';
import type { ByteWriter } from './byte-writer.ts';

/**
 * Rows as one parameter: an array of a composite type, in the binary format of PostgreSQL. The same rows as JSON cost the
 * server more than twice as much: it parsed 60 KB of text, sorted the keys of each object and looked each column up by
 * its name. Here a value is read as what it is.
 *
 * The types are made by a migration and never changed: the server refuses a row that has another number of columns, and a
 * node of an older version goes on sending its own.
 */
export interface CompositeType<Item> {
  readonly name: string;
  /** In the order of the type. */
  readonly columns: readonly Column<Item>[];
}

export interface Column<Item> {
  readonly name: string;
  readonly sqlType: keyof typeof TYPE_OIDS;
  readonly write: (to: ByteWriter, item: Item, place: number) => void;
}

/** `place` is that of the commit in its statement. */
type Pick<Item, Value> = (item: Item, place: number) => Value | null | undefined;

/** Of PostgreSQL's own types; they are the same in every server. */
const TYPE_OIDS = { bool: 16, int8: 20, int4: 23, text: 25, timestamptz: 1184, uuid: 2950, jsonb: 3802 } as const;

const JSONB_VERSION = 1;

/** `oid` is that of the type, which each database numbers for itself. `places` are those of the items, one for each. */
export function toCompositeArray<Item>(type: CompositeType<Item>, oid: number, items: readonly Item[], places: readonly number[]): Buffer {
  const to = createByteWriter(items.length * type.columns.length * BYTES_PER_VALUE);
  writeCompositeArray(to, type, oid, { items, places });
  return to.bytes();
}

/** What a value takes on average, with its type and its length; too little costs a copy. */
const BYTES_PER_VALUE = 32;

/** Rows, and beside each the place of its commit. */
export interface Placed<Item> {
  readonly items: readonly Item[];
  readonly places: readonly number[];
}

/** The same into a writer that others write to as well. */
export function writeCompositeArray<Item>(to: ByteWriter, type: CompositeType<Item>, oid: number, { items, places }: Placed<Item>): void {
  const { columns } = type;
  to.int4(items.length === 0 ? 0 : 1);
  to.int4(0);
  to.int4(oid);
  if (items.length === 0) return;
  to.int4(items.length);
  to.int4(1);
  for (let index = 0; index < items.length; index += 1) {
    const row = to.beginSized();
    to.int4(columns.length);
    for (const column of columns) {
      to.int4(TYPE_OIDS[column.sqlType]);
      column.write(to, items[index] as Item, places[index] ?? index);
    }
    to.endSized(row);
  }
}

export const text = <Item>(name: string, pick: Pick<Item, string>): Column<Item> =>
  column(name, 'text', pick, (to, value) => to.sizedText(toStorableFast(value)));

export const int4 = <Item>(name: string, pick: Pick<Item, number>): Column<Item> =>
  column(name, 'int4', pick, (to, value) => {
    if (value !== (value | 0)) throw new RangeError(`${name} is ${value}, which is no whole number of 32 bits`);
    to.int4(4);
    to.int4(value);
  });

export const int8 = <Item>(name: string, pick: Pick<Item, number>): Column<Item> =>
  column(name, 'int8', pick, (to, value) => {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${name} is ${value}, which is no whole number`);
    to.int4(8);
    to.int8(value);
  });

export const bool = <Item>(name: string, pick: Pick<Item, boolean>): Column<Item> =>
  column(name, 'bool', pick, (to, value) => {
    to.int4(1);
    to.byte(value ? 1 : 0);
  });

export const uuid = <Item>(name: string, pick: Pick<Item, string>): Column<Item> =>
  column(name, 'uuid', pick, (to, value) => {
    to.int4(16);
    to.uuid(value);
  });

export const timestamptz = <Item>(name: string, pick: Pick<Item, Date>): Column<Item> =>
  column(name, 'timestamptz', pick, (to, value) => {
    to.int4(8);
    to.int8(checkMicros(name, (value.getTime() - POSTGRES_EPOCH_MS) * 1_000));
  });

/** RFC 3339 in UTC with exactly six digits of a second. */
export const timestamptzText = <Item>(name: string, pick: Pick<Item, string>): Column<Item> => {
  // The rows of one statement were made in the same few milliseconds.
  let last = { text: '', micros: 0 };
  return column(name, 'timestamptz', pick, (to, value) => {
    if (value !== last.text) last = { text: value, micros: checkMicros(name, toMicros(value)) };
    to.int4(8);
    to.int8(last.micros);
  });
};

/** JSON null is SQL NULL. */
export const jsonb = <Item>(name: string, pick: Pick<Item, JsonValue | object>): Column<Item> => column(name, 'jsonb', pick, (to, value) => writeJson(to, toJsonb(value)));

/** What is JSON text already. */
export const jsonbText = <Item>(name: string, pick: Pick<Item, string>): Column<Item> => column(name, 'jsonb', pick, writeJson);

function column<Item, Value>(name: string, sqlType: Column<Item>['sqlType'], pick: Pick<Item, Value>, write: (to: ByteWriter, value: Value) => void): Column<Item> {
  return {
    name,
    sqlType,
    write: (to, item, place) => {
      const value = pick(item, place);
      if (value === null || value === undefined) to.int4(-1);
      else write(to, value);
    },
  };
}

function writeJson(to: ByteWriter, json: string): void {
  const value = to.beginSized();
  to.byte(JSONB_VERSION);
  to.text(json);
  to.endSized(value);
}

/** Nearly every text is storable, and a look at it is cheaper than making it anew. */
const toStorableFast = (value: string): string => (value.isWellFormed() && !value.includes('\0') ? value : toStorable(value));

/** 2000-01-01, from which PostgreSQL counts. */
const POSTGRES_EPOCH_MS = 946_684_800_000;
const MICROS_AT = 'YYYY-MM-DDTHH:MM:SS.mmm'.length;

function checkMicros(name: string, micros: number): number {
  if (!Number.isInteger(micros)) throw new RangeError(`${name} is no time`);
  return micros;
}

const toMicros = (value: string): number => (Date.parse(`${value.slice(0, MICROS_AT)}Z`) - POSTGRES_EPOCH_MS) * 1_000 + Number(value.slice(MICROS_AT, MICROS_AT + 3));
