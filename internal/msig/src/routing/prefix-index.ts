import type { PrefixChain } from './prefix-chain.ts';

/** The beginnings that a server has seen of late, as its own cache would have them. */
export interface PrefixIndex {
  /** Blocks from the beginning that it has seen. */
  readonly match: (chain: PrefixChain) => number;
  readonly insert: (chain: PrefixChain) => void;
}

/** About a million characters at 256 a block. */
export const INDEX_BLOCKS_MAX = 4_096;

/** Least recently used first out. */
export function createPrefixIndex(blocksMax: number = INDEX_BLOCKS_MAX): PrefixIndex {
  /** A set keeps the order of insertion: the oldest stands first. */
  const blocks = new Set<number>();
  return {
    match: (chain) => {
      const missing = chain.findIndex((block) => !blocks.has(block));
      return missing === -1 ? chain.length : missing;
    },
    insert: (chain) => {
      // From the end, so that a beginning is never dropped before what follows it.
      for (let at = chain.length - 1; at >= 0; at -= 1) {
        const block = chain[at] ?? 0;
        blocks.delete(block);
        blocks.add(block);
      }
      for (const oldest of blocks) {
        if (blocks.size <= blocksMax) break;
        blocks.delete(oldest);
      }
    },
  };
}
