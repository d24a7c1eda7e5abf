import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { JsonValue } from '@openeaap/kernel';
import picocolors from 'picocolors';
import type { CliIo } from './cli-io.ts';
import { toJsonText, toPrintable } from './printable.ts';

export type Colors = ReturnType<typeof picocolors.createColors>;

/** Results go to stdout, all else to stderr. Renderers reach text by `textOf` and `blockOf`. */
export interface Output {
  readonly json: boolean;
  readonly colors: Colors;
  /** The result of a command: one JSON document, or what `render` makes of it for people. */
  readonly result: (body: JsonValue, render: (view: JsonValue) => string) => Promise<void>;
  /** One of a stream of results: a line of NDJSON, or one line for people. */
  readonly item: (body: JsonValue, render: (view: JsonValue) => string) => Promise<void>;
  /** Bytes of the server's as they are. */
  readonly raw: (chunk: Uint8Array) => Promise<void>;
  /** For people only. */
  readonly note: (text: string) => void;
}

export function createOutput(io: CliIo, json: boolean): Output {
  const colors = picocolors.createColors(io.stdoutIsTty && !io.environment.noColor);
  const write = (body: JsonValue, indent: number, render: (view: JsonValue) => string): Promise<void> => {
    const text = json ? toJsonText(body, indent) : render(body);
    return writeAll(io.stdout, `${text}\n`);
  };
  return {
    json,
    colors,
    result: (body, render) => write(body, 2, render),
    item: (body, render) => write(body, 0, render),
    raw: (chunk) => writeAll(io.stdout, chunk),
    note: (text) => void io.stderr.write(`${toPrintable(text)}\n`),
  };
}

/** Waits for a slow reader, so that an export of any size needs little memory. */
async function writeAll(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  if (!stream.write(chunk)) await once(stream, 'drain');
}
