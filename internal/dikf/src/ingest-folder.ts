import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import type { IngestPorts, IngestResult } from './ingest-document.ts';
import { ingestDocument } from './ingest-document.ts';
import { KNOWLEDGE_LIMITS } from './limits.ts';
import type { KnowledgeStore } from './port.ts';

export interface IngestFolderRequest {
  readonly tenantId: string;
  readonly dir: string;
  /** Put before each file's path in its source, e.g. `sops`; also the extent of `retireMissing`. */
  readonly prefix: string;
  /** Retire documents below `prefix` whose file is gone; the folder is then the whole truth. */
  readonly retireMissing: boolean;
}

export interface IngestFolderPorts extends IngestPorts {
  readonly store: Pick<KnowledgeStore, 'replaceDocument' | 'retireMissingDocuments'>;
  readonly signal?: AbortSignal;
}

export interface IngestFolderResult {
  readonly documents: readonly IngestResult[];
  /** Files that could not be used; the others were ingested. */
  readonly errors: readonly PlatformError[];
  readonly retiredDocuments: number;
}

/**
 * Ingests every `.md` file below `dir`, in order of path. Links are not followed: a folder's
 * content ends at the folder. A file that cannot be used is reported and, with `retireMissing`,
 * keeps what was ingested from it before. Errors: `not_found`, `payload_too_large` (too many files).
 */
export async function ingestFolder(request: IngestFolderRequest, ports: IngestFolderPorts): Promise<IngestFolderResult> {
  const documents: IngestResult[] = [];
  const errors: PlatformError[] = [];
  const files = await markdownFiles(request.dir);
  const sources = files.map((file) => `${request.prefix}/${file}`);
  for (const [index, file] of files.entries()) {
    ports.signal?.throwIfAborted();
    const source = sources[index] ?? file;
    try {
      const text = await readText(join(request.dir, file), source);
      documents.push(await ingestDocument({ tenantId: request.tenantId, source, text }, ports));
    } catch (thrown) {
      if (!isFileFault(thrown)) throw thrown;
      errors.push(thrown);
    }
  }
  const { tenantId } = request;
  const retiredDocuments = request.retireMissing ? await ports.store.retireMissingDocuments({ tenantId, prefix: `${request.prefix}/`, sources }) : 0;
  return { documents, errors, retiredDocuments };
}

function isFileFault(thrown: unknown): thrown is PlatformError {
  return thrown instanceof PlatformError && (thrown.code === 'invalid_input' || thrown.code === 'payload_too_large');
}

/** Paths below `dir` with forward slashes, sorted, so that every run sees the same order. */
async function markdownFiles(dir: string): Promise<readonly string[]> {
  const found: string[] = [];
  const walk = async (below: string, depth: number): Promise<void> => {
    for (const entry of await entriesOf(join(dir, below))) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory() && depth < KNOWLEDGE_LIMITS.folderDepth && !entry.name.startsWith('.')) await walk(path, depth + 1);
      else if (entry.isFile() && /\.(?:md|markdown)$/i.test(entry.name)) found.push(path);
      if (found.length > KNOWLEDGE_LIMITS.filesPerFolder) {
        throw new PlatformError('payload_too_large', `The folder holds more than ${KNOWLEDGE_LIMITS.filesPerFolder} Markdown files.`);
      }
    }
  };
  await walk('', 1);
  return found.sort();
}

async function entriesOf(dir: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(dir, { withFileTypes: true });
  } catch (cause) {
    throw new PlatformError('not_found', 'The knowledge folder cannot be read.', { cause });
  }
}

/** Looks at the size first, so that a huge file is refused without being read. */
async function readText(path: string, source: string): Promise<string> {
  const { size } = await stat(path);
  if (size > KNOWLEDGE_LIMITS.documentBytes) {
    throw new PlatformError('payload_too_large', `${source}: larger than ${KNOWLEDGE_LIMITS.documentBytes} bytes. Split the document.`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(await readFile(path));
  } catch (cause) {
    throw new PlatformError('invalid_input', `${source}:1: the file is not UTF-8 text. Save it as UTF-8.`, {
      details: { file: source, line: 1, field: '' },
      cause,
    });
  }
}
