import type { Sensitivity } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { classify } from './classify.ts';
import { KNOWLEDGE_LIMITS } from './limits.ts';
import { parseSourceDocument } from './parse-document.ts';
import type { KnowledgeStore, ReplaceOutcome } from './port.ts';
import { PIPELINE_VERSION, sha256, toChunks } from './to-chunks.ts';

export interface IngestRequest {
  readonly tenantId: string;
  /** The name that lineage shows, e.g. `sops/anomalous-login.md`; the same source is replaced. */
  readonly source: string;
  /** Markdown, with or without YAML front matter. */
  readonly text: string;
}

export interface IngestPorts {
  readonly store: Pick<KnowledgeStore, 'replaceDocument'>;
  /** Makes a UUID. */
  readonly newId: () => string;
}

export interface IngestResult extends ReplaceOutcome {
  readonly source: string;
  readonly title: string;
  readonly sensitivity: Sensitivity;
  readonly accessGroup: string;
  /** `declared` by the file's author, or `automatic` by rules. */
  readonly label: 'declared' | 'automatic';
  /** Rules that fired; with a declared label, only those that ask for a higher one. */
  readonly labelReasons: readonly string[];
  readonly chunks: number;
}

/**
 * Parses, labels, chunks and stores one document. A declared label holds (only a person may
 * lower one), an absent one is set by `classify`. Errors: `invalid_input` for a file that cannot
 * be used, naming file, line, field and cure; `payload_too_large`.
 */
export async function ingestDocument(request: IngestRequest, { store, newId }: IngestPorts): Promise<IngestResult> {
  checkSource(request);
  const { frontMatter, body } = parseSourceDocument(request.text, request.source);
  const title = frontMatter.title ?? titleOf(body, request.source);
  const label = toLabel(frontMatter.sensitivity, request.text);
  const accessGroup = frontMatter.accessGroup ?? '*';
  const chunks = toChunks(body, { title, tags: frontMatter.tags });
  if (chunks.length > KNOWLEDGE_LIMITS.chunksPerDocument) {
    throw new PlatformError('payload_too_large', `${request.source}: more than ${KNOWLEDGE_LIMITS.chunksPerDocument} chunks. Split the document.`);
  }
  const outcome = await store.replaceDocument({
    tenantId: request.tenantId,
    id: newId(),
    source: request.source,
    title,
    sha256: sha256(request.text),
    pipelineVersion: PIPELINE_VERSION,
    language: frontMatter.language ?? '',
    tags: frontMatter.tags,
    sensitivity: label.sensitivity,
    accessGroup,
    chunks,
  });
  return { ...outcome, source: request.source, title, accessGroup, ...label, chunks: chunks.length };
}

function checkSource({ source, text }: IngestRequest): void {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  if (source === '' || source.length > KNOWLEDGE_LIMITS.sourceChars || /[\u0000-\u001f]/.test(source)) {
    throw new PlatformError('invalid_input', `A source needs a name of 1 to ${KNOWLEDGE_LIMITS.sourceChars} printable characters.`, {
      details: { field: 'source' },
    });
  }
  if (Buffer.byteLength(text) > KNOWLEDGE_LIMITS.documentBytes) {
    throw new PlatformError('payload_too_large', `${source}: larger than ${KNOWLEDGE_LIMITS.documentBytes} bytes. Split the document.`);
  }
}

function toLabel(declared: Sensitivity | null, text: string): Pick<IngestResult, 'sensitivity' | 'label' | 'labelReasons'> {
  const found = classify(text);
  if (declared === null) return { sensitivity: found.sensitivity, label: 'automatic', labelReasons: found.reasons };
  return { sensitivity: declared, label: 'declared', labelReasons: found.sensitivity > declared ? found.reasons : [] };
}

function titleOf(body: string, source: string): string {
  const heading = /^#\s+(.+?)\s*#*\s*$/m.exec(body)?.[1];
  const name = source.slice(source.lastIndexOf('/') + 1).replace(/\.(?:md|markdown)$/i, '');
  return (heading ?? name).slice(0, KNOWLEDGE_LIMITS.titleChars);
}
