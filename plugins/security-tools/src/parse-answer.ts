import { isIP, SocketAddress } from 'node:net';
import type { JsonObject } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';

/** Text of a peer is cut to this; names and labels are shorter, and the model reads it all. */
const TEXT_CHARS = 256;

/** Reads one product's answer field by field; whatever has another type is `tool_failed`. */
export interface AnswerReader {
  readonly text: (field: string) => string;
  /** Null where the field is absent, null or empty. */
  readonly optionalText: (field: string) => string | null;
  readonly number: (field: string, range: { readonly min: number; readonly max: number }) => number;
  readonly texts: (field: string, maxItems: number) => readonly string[];
  /** False where the field is absent. */
  readonly flag: (field: string) => boolean;
  readonly fail: (field: string, expected: string) => PlatformError;
}

export function readAnswer(peer: string, body: JsonObject): AnswerReader {
  const fail = (field: string, expected: string): PlatformError =>
    new PlatformError('tool_failed', `${peer} answered in an unexpected form: "${field}" is not ${expected}.`, { details: { field } });
  const optionalText = (field: string): string | null => {
    const value = body[field] ?? '';
    if (typeof value !== 'string') throw fail(field, 'text');
    return value === '' ? null : value.slice(0, TEXT_CHARS);
  };
  return {
    fail,
    optionalText,
    text: (field) => {
      const value = optionalText(field);
      if (value === null) throw fail(field, 'text');
      return value;
    },
    number: (field, { min, max }) => {
      const value = body[field];
      if (typeof value !== 'number' || !(value >= min && value <= max)) throw fail(field, `a number from ${min} to ${max}`);
      return value;
    },
    texts: (field, maxItems) => {
      const value = body[field] ?? [];
      if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw fail(field, 'a list of texts');
      return value.slice(0, maxItems).map((item: string) => item.slice(0, TEXT_CHARS));
    },
    flag: (field) => {
      const value = body[field] ?? false;
      if (typeof value !== 'boolean') throw fail(field, 'true or false');
      return value;
    },
  };
}

/** The canonical text of an IP address. Checked again here although the schema did: it becomes part of a path. */
export function parseIp(value: unknown): string {
  const family = typeof value === 'string' ? isIP(value) : 0;
  if (typeof value !== 'string' || family === 0 || value.includes('%')) throw new PlatformError('tool_failed', '"ip" is not an IPv4 or IPv6 address.', { details: { field: 'ip' } });
  return new SocketAddress({ address: value, family: family === 4 ? 'ipv4' : 'ipv6' }).address;
}

/** A product that answers about another address than the one asked for must not be believed. */
export function checkSameIp(answer: AnswerReader, ip: string): void {
  const answered = answer.text('ip');
  if (isIP(answered) === 0 || parseIp(answered) !== ip) throw answer.fail('ip', 'the address that was asked for');
}
