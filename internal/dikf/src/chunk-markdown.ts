import { fromMarkdown } from 'mdast-util-from-markdown';
import { KNOWLEDGE_LIMITS } from './limits.ts';
import { splitText } from './split-text.ts';

export interface Chunk {
  /** Headings above the chunk, outermost first. */
  readonly headingPath: readonly string[];
  /** The Markdown of the chunk, without its heading. */
  readonly content: string;
}

/** The nodes of mdast, taken from the parser's own types. */
type Block = ReturnType<typeof fromMarkdown>['children'][number];

/**
 * Cuts Markdown into chunks: a heading always begins a new one, blocks under the same heading are
 * packed together up to `maxChars`, and a block that is longer is cut at list items, sentences or
 * lines. A heading with nothing below it makes no chunk.
 */
export function chunkMarkdown(markdown: string, maxChars: number = KNOWLEDGE_LIMITS.chunkChars): readonly Chunk[] {
  const chunks: Chunk[] = [];
  let path: readonly Heading[] = [];
  let blocks: string[] = [];
  const flush = (): void => {
    const headingPath = path.map((heading) => heading.text);
    for (const content of pack(blocks, maxChars)) chunks.push({ headingPath, content });
    blocks = [];
  };
  for (const node of fromMarkdown(markdown).children) {
    if (node.type === 'heading') {
      flush();
      path = [...path.filter((heading) => heading.depth < node.depth), { depth: node.depth, text: toText(node).trim() }];
    } else if (!isHidden(node)) {
      blocks.push(...toBlocks(node, markdown, maxChars));
    }
  }
  flush();
  return chunks;
}

interface Heading {
  readonly depth: number;
  readonly text: string;
}

/** A comment is seen by the model and by no reader of the rendered page: a place to hide instructions in. */
function isHidden(node: Block): boolean {
  return (node.type === 'html' && node.value.startsWith('<!--')) || node.type === 'thematicBreak';
}

function toBlocks(node: Block, markdown: string, maxChars: number): readonly string[] {
  const text = sourceOf(node, markdown);
  if (text.length <= maxChars) return [text];
  if (node.type === 'list') return node.children.flatMap((item) => splitText(sourceOf(item, markdown), maxChars));
  return splitText(text, maxChars);
}

function sourceOf(node: Block, markdown: string): string {
  const { position } = node;
  return position === undefined ? '' : markdown.slice(position.start.offset, position.end.offset);
}

/** Joins neighbouring blocks as long as they fit. */
function pack(blocks: readonly string[], maxChars: number): readonly string[] {
  const packed: string[] = [];
  for (const block of blocks) {
    const last = packed.at(-1);
    if (last !== undefined && last.length + 2 + block.length <= maxChars) packed[packed.length - 1] = `${last}\n\n${block}`;
    else packed.push(block);
  }
  return packed.filter((content) => content.trim() !== '');
}

function toText(node: Block): string {
  if ('value' in node) return node.value;
  return 'children' in node ? node.children.map(toText).join('') : '';
}
