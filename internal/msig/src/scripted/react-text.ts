/**
 * The ReAct text form: no tools in the request; the prompt describes them, the model writes
 * `Thought:`, `Action:`, `Action Input:` or `Final Answer:`, and is told `Observation:`.
 * Source: Yao et al. 2022 and the LangChain prompt that made the words common.
 */
export interface ReactEntry {
  readonly kind: 'action' | 'observation';
  /** The tool of an action; the text of an observation. */
  readonly text: string;
}

/** Does this prompt ask for the text form? */
export function asksForReactText(prompt: string): boolean {
  return /^\s*Action:/m.test(prompt) && prompt.includes('Action Input');
}

const LABEL = /^\s*(Question|Thought|Action Input|Action|Observation|Final Answer)\s*:[^\S\n]?(.*)$/;

/** The actions and observations in one message, in order. An observation goes on until the next label. */
export function readReactEntries(message: string): readonly ReactEntry[] {
  // A message that is one observation is that as a whole: what a tool answered must not be taken for an action.
  const whole = /^\s*Observation\s*:\s*([\s\S]*)$/.exec(message);
  if (whole !== null) return [{ kind: 'observation', text: (whole[1] ?? '').trim() }];
  const entries: { readonly label: string; readonly lines: string[] }[] = [];
  for (const line of message.split('\n')) {
    const match = LABEL.exec(line);
    if (match !== null) entries.push({ label: match[1] ?? '', lines: [match[2] ?? ''] });
    else entries.at(-1)?.lines.push(line);
  }
  return entries.flatMap(({ label, lines }): ReactEntry[] => {
    if (label === 'Action') return [{ kind: 'action', text: (lines[0] ?? '').trim() }];
    if (label === 'Observation') return [{ kind: 'observation', text: lines.join('\n').trim() }];
    return [];
  });
}

/** Cuts what comes before the conversation itself: a prompt template with an example above `Begin!`. */
export function afterPreamble(message: string): string {
  const begin = message.lastIndexOf('Begin!');
  return begin === -1 ? message : message.slice(begin + 'Begin!'.length);
}

/** The question in a message that may also hold what has been done about it. */
export function readQuestion(message: string): string {
  const text = afterPreamble(message);
  const start = /^\s*Question\s*:[^\S\n]?/m.exec(text);
  const question = start === null ? text : text.slice(start.index + start[0].length);
  return (question.split(/^\s*(?:Thought|Action)\s*:/m)[0] ?? '').trim();
}

export function toReactAction(thought: string, call: { readonly name: string; readonly argumentsText: string }): string {
  return `Thought: ${oneLine(thought)}\nAction: ${call.name}\nAction Input: ${call.argumentsText}`;
}

export function toReactAnswer(thought: string, answer: string): string {
  return `Thought: ${oneLine(thought)}\nFinal Answer: ${answer}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
