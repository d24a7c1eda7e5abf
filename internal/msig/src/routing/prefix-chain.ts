import { isJsonObject } from '@openeaap/kernel';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import type { Access } from '../access.ts';
import type { BackendConfig } from '../config/gateway-config.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { cacheOwnerOf } from '../vllm/cache-owner.ts';

/**
 * Hashes of the beginnings of a prompt: the n-th is of its first n blocks. Two prompts share their
 * first n blocks when their n-th hashes are equal; a chance collision only costs a detour.
 */
export type PrefixChain = readonly number[];

/** Longer prompts are told apart by their first 8,192 characters only (at 256 a block). */
export const PREFIX_BLOCKS_MAX = 32;

export interface PrefixOptions {
  readonly backend: Pick<BackendConfig, 'vllm' | 'adapters'>;
  readonly access: Access;
  readonly blockChars: number;
}

/** Whole blocks only, as the server's own cache has it. */
export function prefixChainOf(request: ModelRequest, { backend, access, blockChars }: PrefixOptions): PrefixChain {
  const text = beginningOf(request, blockChars * PREFIX_BLOCKS_MAX);
  const blocks = Math.min(PREFIX_BLOCKS_MAX, Math.floor(text.length / blockChars));
  if (blocks === 0) return [];
  const chain: number[] = [];
  let hash = hashText(seedOf(request, backend, access));
  for (let block = 0; block < blocks; block += 1) {
    hash = hashText(text, hash, { from: block * blockChars, to: (block + 1) * blockChars });
    chain.push(hash);
  }
  return chain;
}

/** What the server's cache tells apart besides the text: whose salt, which adapter, which tools (templates put them first). */
function seedOf({ model, body }: ModelRequest, { vllm, adapters }: PrefixOptions['backend'], access: Access): string {
  return JSON.stringify([cacheOwnerOf(access, vllm.cacheSharing), adapters.includes(model) ? model : '', toolNames(body)]);
}

function toolNames({ tools }: JsonObject): readonly JsonValue[] {
  if (!Array.isArray(tools)) return [];
  return tools.map((tool) => (isJsonObject(tool) && isJsonObject(tool['function']) ? (tool['function']['name'] ?? null) : null));
}

/** The text that the model reads first, with who says it; at least `chars` of it where there is as much. */
function beginningOf({ kind, body }: ModelRequest, chars: number): string {
  if (kind === 'completions') return typeof body['prompt'] === 'string' ? body['prompt'] : '';
  if (kind !== 'chat' && kind !== 'responses') return '';
  const { instructions, input, messages } = body;
  const turns = kind === 'chat' ? messages : input;
  let text = typeof instructions === 'string' ? instructions.slice(0, chars) : '';
  if (typeof turns === 'string') return `${text}\n${turns.slice(0, chars)}`;
  if (!Array.isArray(turns)) return text;
  for (const turn of turns) {
    if (text.length >= chars) break;
    if (!isJsonObject(turn)) continue;
    const { role, content } = turn;
    text += `\n${typeof role === 'string' ? role.slice(0, chars) : ''}\n${contentOf(content, chars)}`;
  }
  return text;
}

/** Cut first: hashing makes one piece of the text, and a prompt may have megabytes. */
function contentOf(content: JsonValue | undefined, chars: number): string {
  if (typeof content === 'string') return content.slice(0, chars);
  if (!Array.isArray(content)) return '';
  return content.map((part) => (isJsonObject(part) && typeof part['text'] === 'string' ? part['text'].slice(0, chars) : '')).join('\n');
}

const FNV_OFFSET = 0x81_1c_9d_c5;
const FNV_PRIME = 0x01_00_01_93;

/** FNV-1a over UTF-16 units, 32 bits; the same on every node. */
export function hashText(text: string, seed: number = FNV_OFFSET, { from, to }: { readonly from: number; readonly to: number } = { from: 0, to: text.length }): number {
  let hash = seed;
  for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
  return hash >>> 0;
}
