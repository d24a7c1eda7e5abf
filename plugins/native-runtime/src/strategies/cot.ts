import type { ChatReply, ChatRequest } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { ThinkRequest } from '@openeaap/adapter';
import type { Reading, Strategy } from './strategy.ts';
import { chatBase, inputMessage, openCorrections } from './transcript.ts';

const INSTRUCTIONS = 'Think step by step and write each step down. Then write a last line that starts with "Final Answer:" and gives the answer.';

/** Chain of thought: one think without tools; the reasoning and the answer are kept apart. */
export const chainOfThought: Strategy = { ask, read };

function ask(request: ThinkRequest): ChatRequest {
  const content = [request.agent.systemPrompt, INSTRUCTIONS].filter((part) => part !== '').join('\n\n');
  return { ...chatBase(request), messages: [{ role: 'system', content }, inputMessage(request.input), ...openCorrections(request)] };
}

function read(_request: ThinkRequest, reply: ChatReply): Reading {
  const text = reply.content.trim();
  if (text === '') throw new PlatformError('model_invalid_output', 'The reply was empty.');
  if (reply.finishReason === 'length') throw new PlatformError('model_invalid_output', 'The reply was cut off at the token limit. Be shorter.');
  const marks = [...text.matchAll(/^[ \t]*Final Answer[ \t]*:/gim)];
  const mark = marks.at(-1);
  // A model that gives the answer without the mark has still answered.
  if (mark === undefined) return { proposal: { thought: '', calls: [], output: text }, strategyState: null };
  const output = text.slice(mark.index + mark[0].length).trim();
  if (output === '') throw new PlatformError('model_invalid_output', 'The text after "Final Answer:" was empty.');
  return { proposal: { thought: text.slice(0, mark.index).trim(), calls: [], output }, strategyState: null };
}
