import { setTimeout as sleep } from 'node:timers/promises';
import type { ChatRequest, ChatToolCall } from '@openeaap/kernel';
import type { Backend } from '../backends/backend.ts';
import type { AskChat, ChatCall, ChatTryReply } from '../backends/chat-call.ts';
import { completeByChat } from '../backends/complete-by-chat.ts';
import { estimateUsage, takeTokens } from '../request/estimate-usage.ts';
import { toReactAction, toReactAnswer } from './react-text.ts';
import { readConversation } from './script-conversation.ts';
import type { ScriptConversation } from './script-conversation.ts';
import type { Script, ScriptCall, ScriptRule } from './script.ts';

export interface ScriptedBackendDeps {
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Characters per delta. */
const PIECE_CHARS = 16;
const NO_RULE_MATCHES = 'scripted model: no rule matches';
/** The words of the ReAct form before its last line. */
const CONCLUDING = { zh: '信息已经足够，可以给出结论。', en: 'I now know the final answer.' } as const;

/**
 * A model that follows a script instead of thinking: for trying the platform without a model
 * server. It answers what the conversation really holds, the same each time, and says what it is
 * by its model name and its label `simulated`. Nobody outside this room can tell it apart otherwise.
 */
export function createScriptedBackend(script: Script, deps: ScriptedBackendDeps): Backend {
  const chat: AskChat = async (request, call) => {
    call.signal.throwIfAborted();
    if (script.delayMs > 0) await sleep(script.delayMs, undefined, { signal: call.signal });
    const answer = cutToTokens(answerByScript(script, request), request.maxTokens ?? Number.POSITIVE_INFINITY);
    await streamText(answer.content, call);
    const usage = estimateUsage(request, answer);
    call.onUsage(usage);
    return { ...answer, model: script.model, usage };
  };
  return {
    ask: (completion, call) => completeByChat(completion, call, { chat, model: script.model, ...deps }),
    close: async () => undefined,
  };
}

type ScriptedAnswer = Pick<ChatTryReply, 'content' | 'toolCalls' | 'finishReason'>;

/** Pure: the same conversation has the same answer. */
export function answerByScript(script: Script, request: ChatRequest): ScriptedAnswer {
  const conversation = readConversation(request, script.variables);
  const chosen = chooseRule(script.rules, conversation);
  if (chosen === null) return finalAnswer(conversation, NO_RULE_MATCHES);
  const content = chosen.rule.content(conversation);
  const calls = chosen.calls.map((call, index): ChatToolCall => ({
    id: `call_${conversation.callsMade + index + 1}`,
    name: call.name,
    argumentsText: JSON.stringify(call.args(conversation)),
  }));
  const first = calls[0];
  if (first === undefined) return finalAnswer(conversation, content);
  // The text form has room for one action; the others get their turn when its result is there.
  if (conversation.form === 'text') return { content: toReactAction(content, first), toolCalls: [], finishReason: 'stop' };
  return { content, toolCalls: calls, finishReason: 'tool_calls' };
}

/** As a model would be stopped: in the middle of its text, before its calls. */
function cutToTokens(answer: ScriptedAnswer, maxTokens: number): ScriptedAnswer {
  const { completionTokens } = estimateUsage({ model: '', messages: [] }, answer);
  if (completionTokens <= maxTokens) return answer;
  return { content: takeTokens(answer.content, maxTokens), toolCalls: [], finishReason: 'length' };
}

function chooseRule(rules: readonly ScriptRule[], conversation: ScriptConversation): { readonly rule: ScriptRule; readonly calls: readonly ScriptCall[] } | null {
  for (const rule of rules) {
    if (!rule.applies(conversation)) continue;
    const calls = rule.calls.filter((call) => conversation.form !== 'plain' && conversation.offersTool(call.name) && call.applies(conversation));
    if (rule.calls.length === 0 || calls.length > 0) return { rule, calls };
  }
  return null;
}

function finalAnswer(conversation: ScriptConversation, content: string): ScriptedAnswer {
  const text = conversation.form === 'text' ? toReactAnswer(CONCLUDING[conversation.language], content) : content;
  return { content: text, toolCalls: [], finishReason: 'stop' };
}

/** Passes the text on in pieces, with a turn of the event loop between them as from a real stream. */
async function streamText(text: string, call: ChatCall): Promise<void> {
  const characters = Array.from(text);
  for (let start = 0; start < characters.length; start += PIECE_CHARS) {
    if (start > 0) await sleep(0, undefined, { signal: call.signal });
    call.onDelta(characters.slice(start, start + PIECE_CHARS).join(''));
  }
}
