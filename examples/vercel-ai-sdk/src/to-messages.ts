import type { AgentRequest, JournalEntry, JsonObject } from '@openeaap/sdk';
import type { ModelMessage, ToolCallPart, ToolResultPart } from 'ai';

type Think = Extract<JournalEntry, { readonly kind: 'think' }>;
type Act = Extract<JournalEntry, { readonly kind: 'act' }>;

/** The run so far as a conversation of the AI SDK: the input, then each think with what came of its calls. */
export function toMessages({ input, journal }: Pick<AgentRequest, 'input' | 'journal'>): ModelMessage[] {
  const acts = journal.filter((entry): entry is Act => entry.kind === 'act');
  const thinks = journal.filter((entry): entry is Think => entry.kind === 'think');
  return [
    { role: 'user', content: typeof input === 'string' ? input : JSON.stringify(input, null, 2) },
    ...thinks.flatMap((think) => toTurn(think, acts.filter(({ thinkNo }) => thinkNo === think.no))),
  ];
}

function toTurn({ proposal, error }: Think, acts: readonly Act[]): readonly ModelMessage[] {
  if (proposal === null) return [{ role: 'user', content: `Your last reply could not be used: ${error?.message ?? 'it was empty.'} Reply again.` }];
  const text = proposal.thought === '' ? [] : [{ type: 'text' as const, text: proposal.thought }];
  const content = [...text, ...acts.map(toCall)];
  if (content.length === 0) return [];
  return [{ role: 'assistant', content }, ...(acts.length === 0 ? [] : [{ role: 'tool' as const, content: acts.map(toResult) }])];
}

/** With the arguments that were run: an approver may have edited those that were proposed. */
function toCall({ callId, tool, args }: Act): ToolCallPart {
  return { type: 'tool-call', toolCallId: callId, toolName: tool, input: isObject(args) ? args : {} };
}

/** The whole observation: for the model a denial is a result as any other. */
function toResult({ callId, tool, observation }: Act): ToolResultPart {
  const type = 'error' in observation ? 'error-json' : 'json';
  // The AI SDK's JSON is the same JSON, but not readonly.
  return { type: 'tool-result', toolCallId: callId, toolName: tool, output: { type, value: structuredClone(observation) as Mutable } };
}

type Mutable = Extract<ToolResultPart['output'], { readonly type: 'json' }>['value'];

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
