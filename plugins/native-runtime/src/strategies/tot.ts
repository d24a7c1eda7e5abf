import type { ChatMessage, ChatReply, ChatRequest, JsonObject, JsonValue } from '@openeaap/kernel';
import { PlatformError, isJsonObject } from '@openeaap/kernel';
import type { ThinkRequest } from '@openeaap/adapter';
import type { Reading, Strategy } from './strategy.ts';
import { chatBase, inputMessage, lastState, openCorrections } from './transcript.ts';

/**
 * Tree of thoughts (arXiv 2305.10601) as a breadth-first search with a beam: propose continuations
 * of the best paths, have them rated, keep the best, and answer from the best path at the end. Each
 * think is one model call, so each is decided, metered and journaled like any other.
 */
export const treeOfThoughts: Strategy = { ask, read };

/** 3 ideas a level, the best 2 paths kept, 2 levels: 5 model calls, where the paper's gains begin to flatten. */
const BRANCHES = 3;
const BEAM = 2;
const DEPTH = 2;

type Tree = {
  readonly phase: 'expand' | 'rate' | 'conclude';
  readonly depth: number;
  /** Kept paths, best first; each is the thoughts from the root. */
  readonly paths: readonly (readonly string[])[];
  /** Paths that wait for their rating. */
  readonly candidates: readonly (readonly string[])[];
};

const ROOT: Tree = { phase: 'expand', depth: 0, paths: [[]], candidates: [] };

function ask(request: ThinkRequest): ChatRequest {
  const tree = parseTree(lastState(request));
  const system: ChatMessage = { role: 'system', content: [request.agent.systemPrompt, 'You solve the problem by exploring several lines of thought.'].filter((part) => part !== '').join('\n\n') };
  return { ...chatBase(request), messages: [system, inputMessage(request.input), { role: 'user', content: promptOf(tree) }, ...openCorrections(request)] };
}

function promptOf(tree: Tree): string {
  switch (tree.phase) {
    case 'expand':
      return `${showPaths('Lines of thought so far', tree.paths)}\nPropose ${BRANCHES} different next thoughts for each line. Reply with JSON only: {"thoughts": [{"line": 1, "text": "..."}]}`;
    case 'rate':
      return `${showPaths('Candidate lines of thought', tree.candidates)}\nRate how promising each line is from 0 to 10. Reply with JSON only: {"ratings": [{"line": 1, "score": 7}]}`;
    case 'conclude':
      return `${showPaths('The most promising line of thought', tree.paths.slice(0, 1))}\nGive the final answer to the problem as plain text.`;
  }
}

function showPaths(title: string, paths: Tree['paths']): string {
  const lines = paths.map((path, index) => `${index + 1}. ${path.length === 0 ? '(start)' : path.join(' -> ')}`);
  return `${title}:\n${lines.join('\n')}`;
}

function read(request: ThinkRequest, reply: ChatReply): Reading {
  const tree = parseTree(lastState(request));
  switch (tree.phase) {
    case 'expand':
      return keepThinking(expand(tree, parseJson(reply.content)), 'candidates');
    case 'rate':
      return keepThinking(rate(tree, parseJson(reply.content)), 'paths');
    case 'conclude': {
      const output = reply.content.trim();
      if (output === '') throw new PlatformError('model_invalid_output', 'The answer was empty.');
      if (reply.finishReason === 'length') throw new PlatformError('model_invalid_output', 'The reply was cut off at the token limit. Be shorter.');
      return { proposal: { thought: '', calls: [], output }, strategyState: tree };
    }
  }
}

function expand(tree: Tree, reply: JsonObject): Tree {
  const thoughts = Array.isArray(reply['thoughts']) ? (reply['thoughts'] as readonly JsonValue[]) : [];
  const candidates = thoughts.filter(isJsonObject).flatMap((thought) => {
    const path = tree.paths[Number(thought['line'] ?? 1) - 1];
    const text = thought['text'];
    return path === undefined || typeof text !== 'string' || text.trim() === '' ? [] : [[...path, text.trim()]];
  });
  if (candidates.length === 0) throw new PlatformError('model_invalid_output', 'There was no usable entry in "thoughts".');
  return { ...tree, phase: 'rate', candidates: candidates.slice(0, BRANCHES * tree.paths.length) };
}

function rate(tree: Tree, reply: JsonObject): Tree {
  const ratings = Array.isArray(reply['ratings']) ? (reply['ratings'] as readonly JsonValue[]) : [];
  const scores = new Map(ratings.filter(isJsonObject).map((rating) => [Number(rating['line']), Number(rating['score'])]));
  const rated = tree.candidates.map((path, index) => ({ path, score: scores.get(index + 1) ?? Number.NaN })).filter(({ score }) => Number.isFinite(score));
  if (rated.length === 0) throw new PlatformError('model_invalid_output', 'There was no usable entry in "ratings".');
  const paths = rated.sort((a, b) => b.score - a.score).slice(0, BEAM).map(({ path }) => path);
  const depth = tree.depth + 1;
  return { phase: depth < DEPTH ? 'expand' : 'conclude', depth, paths, candidates: [] };
}

function keepThinking(tree: Tree, shown: 'candidates' | 'paths'): Reading {
  const thought = shown === 'candidates' ? showPaths('Candidates', tree.candidates) : showPaths('Kept', tree.paths);
  return { proposal: { thought, calls: [], output: null }, strategyState: tree };
}

function parseJson(content: string): JsonObject {
  const text = content.slice(content.indexOf('{'), content.lastIndexOf('}') + 1);
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch {
    // Told to the model below.
  }
  throw new PlatformError('model_invalid_output', 'The reply was not the JSON object that was asked for.');
}

/** The state comes back from storage: anything else than a tree starts over. */
function parseTree(state: JsonValue): Tree {
  if (!isJsonObject(state)) return ROOT;
  const { phase, depth, paths, candidates } = state;
  if (phase !== 'expand' && phase !== 'rate' && phase !== 'conclude') return ROOT;
  return { phase, depth: Number(depth), paths: paths as unknown as Tree['paths'], candidates: candidates as unknown as Tree['candidates'] };
}
