import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { LIMITS, isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { usageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';

type InputIo = Pick<CliIo, 'stdin' | 'cwd'>;

/**
 * A value given on the command line: TEXT itself, `@FILE`, or `-` for stdin.
 * @param flag names the value in messages, e.g. `--input`.
 */
export async function readArgument(given: string, flag: string, io: InputIo): Promise<string> {
  if (given === '-') return readStdin(flag, io);
  return given.startsWith('@') ? readTextFile(given.slice(1), flag, io) : given;
}

/** A file, or `-` for stdin, as text. */
export async function readFileOrStdin(given: string, flag: string, io: InputIo): Promise<string> {
  return given === '-' ? readStdin(flag, io) : readTextFile(given, flag, io);
}

/** Input of a run: text that begins with `{` is a JSON object, all else is plain text. */
export async function readRunInput(given: string, io: InputIo): Promise<string | JsonObject> {
  const text = await readArgument(given, '--input', io);
  return text.trimStart().startsWith('{') ? parseObject(text, '--input') : text;
}

export async function readJsonObject(given: string, flag: string, io: InputIo): Promise<JsonObject> {
  return parseObject(await readArgument(given, flag, io), flag);
}

/** A whole number. @throws CliError `usage` outside min..max. */
export function parseWhole(text: string, flag: string, min: number, max: number): number {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usageError(`${flag} must be a whole number from ${min} to ${max}, not "${text}".`);
}

function parseObject(text: string, flag: string): JsonObject {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw usageError(`${flag} is not valid JSON: ${cause instanceof Error ? cause.message : String(cause)}`, `Write it like ${flag} '{"ip":"1.2.3.4"}' or ${flag} @file.json.`);
  }
  if (!isJsonObject(value)) throw usageError(`${flag} must be a JSON object like {"ip":"1.2.3.4"}.`);
  return value;
}

async function readTextFile(name: string, flag: string, io: InputIo): Promise<string> {
  const file = path.resolve(io.cwd, name);
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw usageError(`${flag}: ${file} cannot be read (${cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)}).`);
  }
}

/** At most what a request may carry. */
async function readStdin(flag: string, io: InputIo): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of io.stdin as AsyncIterable<Buffer | string>) {
    const buffer = Buffer.from(chunk);
    bytes += buffer.byteLength;
    if (bytes > LIMITS.requestBytes) throw usageError(`${flag}: stdin holds more than ${LIMITS.requestBytes} bytes, the most a request may carry.`);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
