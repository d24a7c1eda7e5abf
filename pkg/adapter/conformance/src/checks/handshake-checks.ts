import { isDeepStrictEqual } from 'node:util';
import { ToolEffect } from '@openeaap/proto';
import type { HandshakeResponse, ToolSpec } from '@openeaap/proto';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { broken } from '../conformance-error.ts';
import type { Check, FixtureTool, Seen } from '../check.ts';
import { kept, warning } from '../check.ts';
import { parseJson, valueOf } from '../expect-answer.ts';
import type { Subject } from '../subject.ts';
import { PREFIX } from '../subject.ts';

const section = 'The life of a connection';

/** A version that nobody speaks. */
const FUTURE = 99;
/** The longest that the control plane waits for a tool. */
const TOOL_TIMEOUT_CEILING_MS = 600_000;
/** Less than this and not even the arguments of one call fit (64 KiB, with the rest of the request). */
const RECEIVES_LEAST_BYTES = 131_072;
/** What a plugin that thinks should receive: a journal grows with the run. */
const RECEIVES_JOURNAL_BYTES = 33_554_432;

export const handshakeChecks: readonly Check[] = [
  { name: 'handshake.version', promise: 'A peer that speaks version 1 is answered with version 1.', section, needs: [], run: (subject) => expectVersion(subject, [1]) },
  { name: 'handshake.highest_common', promise: 'Of several versions the highest that both know is chosen.', section, needs: [], run: (subject) => expectVersion(subject, [FUTURE, 1]) },
  { name: 'handshake.no_common', promise: 'Without a common version the answer is 0 and the plugin\'s own list.', section, needs: [], run: expectNoVersion },
  { name: 'handshake.repeatable', promise: 'A handshake has no side effect: a second one answers the same.', section, needs: [], run: expectRepeatable },
  { name: 'handshake.names', promise: 'Plugin, tools and agents have names; those of tools are unique and fit [A-Za-z0-9_-]{1,64}, those of agents are unique.', section, needs: [], run: async ({ offer }) => checkNames(offer) },
  { name: 'handshake.schemas', promise: 'Every input_schema is JSON Schema 2020-12 of an object, every output_schema is JSON Schema; empty is allowed.', section, needs: [], run: async ({ offer }) => checkSchemas(offer.tools) },
  { name: 'handshake.effects', promise: 'Every tool says what it does to the world.', section, needs: [], run: async ({ offer }) => checkEffects(offer.tools) },
  { name: 'handshake.limits', promise: 'Timeouts, sizes and names of secrets are such that the control plane can keep to them.', section, needs: [], run: async ({ offer }) => checkLimits(offer) },
  { name: 'handshake.fixtures', promise: 'The conformance tools are declared as the protocol page describes them.', section: 'Conformance', needs: ['tool echo'], run: async ({ offer }) => checkFixtures(offer.tools) },
];

async function expectVersion(subject: Subject, versions: readonly number[]): Promise<Seen> {
  const answer = valueOf(await subject.peer().handshake(versions), 'an answer to Handshake');
  if (answer.protocolVersion !== 1) throw broken(`protocol_version 1 for [${versions.join(', ')}]`, `protocol_version ${answer.protocolVersion}`);
  return kept(`[${versions.join(', ')}] is answered with 1`);
}

async function expectNoVersion(subject: Subject): Promise<Seen> {
  const { protocolVersion, protocolVersions } = valueOf(await subject.peer().handshake([FUTURE]), 'an answer to Handshake');
  const got = `protocol_version ${protocolVersion}, protocol_versions [${protocolVersions.join(', ')}]`;
  if (protocolVersion !== 0 || !protocolVersions.includes(1) || protocolVersions.includes(FUTURE)) throw broken(`protocol_version 0 for [${FUTURE}], and protocol_versions with 1 in it`, got);
  return kept(got);
}

async function expectRepeatable(subject: Subject): Promise<Seen> {
  const first = valueOf(await subject.peer().handshake([1]), 'an answer to Handshake');
  const second = valueOf(await subject.peer().handshake([1]), 'an answer to a second Handshake');
  if (!isDeepStrictEqual(sorted(first), sorted(second))) throw broken('two equal answers to two handshakes', `different ones: ${differencesOf(first, second).join(', ')}`);
  return kept('two handshakes, one answer');
}

const sorted = (offer: HandshakeResponse): HandshakeResponse => ({ ...offer, tools: [...offer.tools].sort(byName), agents: [...offer.agents].sort(byName) });

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

function differencesOf(first: HandshakeResponse, second: HandshakeResponse): readonly string[] {
  const [a, b] = [sorted(first), sorted(second)];
  return (Object.keys(a) as (keyof HandshakeResponse)[]).filter((field) => !isDeepStrictEqual(a[field], b[field]));
}

function checkNames(offer: HandshakeResponse): Seen {
  if (offer.name === '') throw broken('a name of the plugin', 'an empty one');
  for (const { name } of offer.tools) if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) throw broken('names of tools with letters, digits, _ and -, at most 64 characters', `"${name}"`);
  for (const { name } of offer.agents) if (name === '') throw broken('a name of every agent', 'an empty one');
  for (const list of [offer.tools, offer.agents]) {
    const twice = list.find(({ name }, index) => list.findIndex((other) => other.name === name) < index);
    if (twice !== undefined) throw broken('names that occur once', `"${twice.name}" twice`);
  }
  for (const { name, reasoningModes } of offer.agents) {
    const unknown = reasoningModes.find((mode) => !['react', 'cot', 'tot'].includes(mode));
    if (unknown !== undefined) throw broken('reasoning_modes of react, cot, tot', `"${unknown}" of the agent ${name}`);
  }
  const silent = offer.tools.filter(({ description }) => description.trim() === '').map(({ name }) => name);
  if (offer.version === '') return warning('the plugin does not say its version');
  if (silent.length > 0) return warning(`a model cannot know when to use ${silent.join(', ')}: the description is empty`);
  return kept(`${offer.name} ${offer.version}, tools: ${offer.tools.length}, agents: ${offer.agents.length}`);
}

function checkSchemas(tools: readonly ToolSpec[]): Seen {
  const ajv = new Ajv2020({ strict: false, validateFormats: true, logger: false });
  addFormats.default(ajv);
  for (const tool of tools) {
    const accepts = compile(ajv, tool.inputSchema, `an input_schema of ${tool.name}`);
    const stray = [[], 'text', 7, null].find((value) => accepts !== null && accepts(value));
    if (stray !== undefined) throw broken(`an input_schema of ${tool.name} that takes nothing but an object`, `one that takes ${JSON.stringify(stray)} as well (is "type": "object" missing?)`);
    compile(ajv, tool.outputSchema, `an output_schema of ${tool.name}`);
  }
  return kept(`schemas checked of ${tools.length} tools`);
}

/** null for an empty text. */
function compile(ajv: Ajv2020, text: string, what: string): ((value: unknown) => boolean) | null {
  if (text === '') return null;
  const schema = parseJson(text, `${what} that is JSON text`);
  const expected = `${what} that is JSON Schema 2020-12`;
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw broken(expected, text);
  try {
    const validate = ajv.compile(schema);
    return (value) => validate(value);
  } catch (thrown) {
    throw broken(expected, thrown instanceof Error ? thrown.message : 'one that does not compile');
  } finally {
    // Two tools may use the same $id.
    ajv.removeSchema(schema);
  }
}

function checkEffects(tools: readonly ToolSpec[]): Seen {
  const unknown = tools.find(({ effect }) => ToolEffect[effect] === undefined || effect === ToolEffect.UNRECOGNIZED);
  if (unknown !== undefined) throw broken('an effect of version 1', `another one for ${unknown.name}`);
  const silent = tools.filter(({ effect }) => effect === ToolEffect.TOOL_EFFECT_UNSPECIFIED).map(({ name }) => name);
  return silent.length === 0 ? kept(`effects checked of ${tools.length} tools`) : warning(`no effect is said, which is taken for write: ${silent.join(', ')}`);
}

function checkLimits(offer: HandshakeResponse): Seen {
  for (const { name, timeoutMs, secrets } of offer.tools) {
    if (timeoutMs > TOOL_TIMEOUT_CEILING_MS) throw broken(`a timeout_ms of ${name} of at most ${TOOL_TIMEOUT_CEILING_MS}`, String(timeoutMs));
    const odd = secrets.find((secret) => !/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/.test(secret));
    if (odd !== undefined) throw broken(`names of secrets of ${name} that can be configured`, `"${odd}"`);
  }
  const { maxMessageBytes, agents } = offer;
  if (maxMessageBytes !== 0 && maxMessageBytes < RECEIVES_LEAST_BYTES) throw broken(`max_message_bytes of 0 or at least ${RECEIVES_LEAST_BYTES}`, String(maxMessageBytes));
  if (agents.length > 0 && maxMessageBytes < RECEIVES_JOURNAL_BYTES) return warning(`max_message_bytes is ${maxMessageBytes === 0 ? '0 (4 MiB)' : maxMessageBytes}; a plugin that thinks should receive 32 MiB, since a journal grows with the run`);
  return kept(`max_message_bytes ${maxMessageBytes}, max_concurrent_steps ${offer.maxConcurrentSteps}`);
}

const READ = ToolEffect.TOOL_EFFECT_READ;
const WRITE = ToolEffect.TOOL_EFFECT_WRITE;

const FIXTURES: Readonly<Record<FixtureTool, Pick<ToolSpec, 'effect' | 'idempotent' | 'secrets'>>> = {
  echo: { effect: READ, idempotent: false, secrets: [] },
  sleep: { effect: READ, idempotent: false, secrets: [] },
  fail: { effect: WRITE, idempotent: false, secrets: [] },
  crash: { effect: WRITE, idempotent: false, secrets: [] },
  count: { effect: WRITE, idempotent: true, secrets: [] },
  secret: { effect: READ, idempotent: false, secrets: ['CONFORMANCE_SECRET'] },
  big: { effect: READ, idempotent: false, secrets: [] },
  sleeps_seen: { effect: READ, idempotent: false, secrets: [] },
};

function checkFixtures(tools: readonly ToolSpec[]): Seen {
  const offered = tools.filter(({ name }) => name.startsWith(PREFIX) && name.slice(PREFIX.length) in FIXTURES);
  for (const tool of offered) {
    const { effect, idempotent, secrets } = FIXTURES[tool.name.slice(PREFIX.length) as FixtureTool];
    const show = (spec: Pick<ToolSpec, 'effect' | 'idempotent' | 'secrets'>): string => `${tool.name}: ${ToolEffect[spec.effect] ?? spec.effect}${spec.idempotent ? ', idempotent' : ''}, secrets [${spec.secrets.join(', ')}]`;
    // What reads may be repeated anyway; whether it says idempotent as well is its own matter.
    const right = tool.effect === effect && (effect === READ || tool.idempotent === idempotent) && isDeepStrictEqual([...tool.secrets], [...secrets]);
    if (!right) throw broken(show({ effect, idempotent, secrets }), show(tool));
  }
  return kept(`${offered.length} of ${Object.keys(FIXTURES).length} conformance tools offered`);
}
