import type { ToolAdapter } from '@openeaap/adapter';
import { PlatformError } from '@openeaap/kernel';
import { calculate, CALCULATOR } from './calculator.ts';
import type { RetrieveKnowledge } from './search-knowledge.ts';
import { SEARCH_KNOWLEDGE, searchKnowledge } from './search-knowledge.ts';

/** `search_knowledge` and `calculator`, in the process: they hold nothing and need no closing. */
export function createStandardTools({ retrieve }: { readonly retrieve: RetrieveKnowledge }): ToolAdapter {
  return {
    handshake: () => Promise.resolve({ name: 'standard-tools', version: '1.0.0', tools: [SEARCH_KNOWLEDGE, CALCULATOR] }),
    call: async ({ tool, args }, context) => {
      switch (tool) {
        case SEARCH_KNOWLEDGE.name:
          return await searchKnowledge(retrieve, args, context);
        case CALCULATOR.name:
          return calculate(args);
        default:
          throw new PlatformError('tool_failed', `standard-tools has no tool "${tool}".`);
      }
    },
    healthCheck: () => Promise.resolve({ serving: true, detail: 'In the process.' }),
  };
}
