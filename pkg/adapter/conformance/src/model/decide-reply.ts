import type { JsonValue } from '../json-value.ts';
import { isJsonObject } from '../json-value.ts';
import type { Conversation } from './read-conversation.ts';

/** What the model double does about a request. */
export type Reply =
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'call'; readonly tool: string; readonly args: JsonValue }
  /** Waits, then says it. */
  | { readonly kind: 'wait'; readonly ms: number; readonly text: string }
  /** No model answers. */
  | { readonly kind: 'unavailable' };

/** `count` ends at this number. */
const COUNT_END = 3;

/** The table of the agent `conformance` (docs/plugin-protocol.md), as a model would follow it. */
export function decideReply({ instruction, offers, observations }: Conversation): Reply {
  if (instruction === null) return say('There is no {"do": ...} object in the conversation.');
  const { output, tool, args, text, ms } = instruction;
  switch (instruction['do']) {
    case 'finish':
      return say(output ?? null);
    case 'stream':
      return say(text ?? '');
    case 'propose':
      return observations.length > 0 ? say(observations.at(-1) ?? '') : callIfOffered(offers, typeof tool === 'string' ? tool : '', args ?? {});
    case 'count':
      return observations.length + 1 >= COUNT_END ? say(COUNT_END) : callIfOffered(offers, 'conformance_echo', { n: observations.length + 1 });
    case 'sleep':
      return { kind: 'wait', ms: typeof ms === 'number' ? ms : 0, text: 'slept' };
    case 'fail':
      return { kind: 'unavailable' };
    default:
      return say('I do not know what to do.');
  }
}

const say = (value: JsonValue): Reply => ({ kind: 'say', text: typeof value === 'string' ? value : JSON.stringify(value) });

function callIfOffered(offers: Conversation['offers'], tool: string, args: JsonValue): Reply {
  return offers(tool) && isJsonObject(args) ? { kind: 'call', tool, args } : say('blocked');
}
