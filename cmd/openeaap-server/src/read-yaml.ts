import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument } from 'yaml';
import { PlatformError } from '@openeaap/kernel';

/** A YAML file as data; null when there is none. Errors: invalid_input with file, line and column. */
export async function readYaml(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return null;
    throw new PlatformError('invalid_input', `${file} cannot be read: ${thrown.code ?? 'unknown error'}.`, { cause: thrown });
  });
  return text === null ? null : parseYaml(text, file);
}

export function parseYaml(text: string, file: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, uniqueKeys: true });
  const error = document.errors[0];
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    throw new PlatformError('invalid_input', `${file}:${line}:${col}: ${error.message.split('\n')[0] ?? 'not YAML'}`, { cause: error });
  }
  return document.toJS({ maxAliasCount: 50 });
}
