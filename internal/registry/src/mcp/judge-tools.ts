import type { JsonObject, JsonValue, ToolEffect, ToolSpec } from '@openeaap/kernel';
import { LIMITS, hashJson, isJsonObject } from '@openeaap/kernel';
import type { SchemaCheck } from './create-schema-check.ts';
import { createSchemaCheck } from './create-schema-check.ts';
import { fitToolName } from './fit-tool-name.ts';
import type { McpConfig, Pins } from './mcp-config.ts';
import { MCP_LIMITS } from './mcp-config.ts';
import { toSchema2020 } from './to-schema-2020.ts';

/** What a server offers, as far as it may be used, and what not and why. */
export interface McpListing {
  readonly tools: readonly ListedTool[];
  readonly withheld: readonly WithheldTool[];
}

export interface ListedTool {
  /** The server's own name for it. */
  readonly serverName: string;
  /** Of all that the model and the policy go by: description, schemas, annotations. */
  readonly hash: string;
  readonly spec: ToolSpec;
}

export interface WithheldTool {
  readonly serverName: string;
  /**
   * `denied` by the declaration; `changed` since it was accepted; `invalid` otherwise. Of a changed tool the hash is
   * what has to be accepted.
   */
  readonly reason: 'denied' | 'changed' | 'invalid';
  readonly hash: string | null;
  /** What is wrong and the cure. */
  readonly message: string;
}

export interface JudgedServer {
  readonly version: string;
  readonly pins: Pins;
  /** Hashes of tools whose schemas were found good before: compiling takes most of the time of a listing. */
  readonly compiled: ReadonlySet<string>;
}

type Judged = { readonly kind: 'listed'; readonly tool: ListedTool } | { readonly kind: 'withheld'; readonly tool: WithheldTool };

/**
 * Turns what a server said into tools. Each one is judged by itself: a bad tool is withheld and named, the others are
 * offered. Tools whose names become one are all withheld, since the server could take the name that a policy allows.
 */
export function judgeTools(offered: readonly unknown[], server: JudgedServer, config: McpConfig): McpListing {
  const check = createSchemaCheck();
  const judged = offered.map((tool, index) =>
    index < MCP_LIMITS.tools ? judgeTool(tool, server, config, check) : withhold(nameOf(tool), 'invalid', null, `it is beyond the ${MCP_LIMITS.tools} tools that one server may offer. Name the ones that you need in \`allow\`.`),
  );
  const listed = judged.flatMap((one) => (one.kind === 'listed' ? [one.tool] : []));
  const doubles = listed.filter((tool) => listed.some((other) => other !== tool && other.spec.name === tool.spec.name));
  return {
    tools: listed.filter((tool) => !doubles.includes(tool)),
    withheld: [
      ...judged.flatMap((one) => (one.kind === 'withheld' ? [one.tool] : [])),
      ...doubles.map((tool): WithheldTool => ({ serverName: tool.serverName, reason: 'invalid', hash: tool.hash, message: `two tools of the server would be called "${tool.spec.name}" here. Leave one out with \`deny\`.` })),
    ],
  };
}

function judgeTool(offered: unknown, { version, pins, compiled }: JudgedServer, config: McpConfig, check: SchemaCheck): Judged {
  const serverName = nameOf(offered);
  if (!isJsonObject(offered) || serverName === '') return withhold(serverName, 'invalid', null, 'the server offers a tool without a name.');
  if (!isAllowed(serverName, config)) return withhold(serverName, 'denied', null, 'the declaration does not allow it. Name it in `allow` to use it.');
  const problem = problemOf(offered);
  if (problem !== null) return withhold(serverName, 'invalid', null, problem);
  const hash = hashTool(offered);
  const accepted = pinOf(pins, serverName);
  if (config.pin && accepted !== undefined && accepted !== hash) {
    return withhold(serverName, 'changed', hash, 'its description or schema is not what was accepted. Read it again and accept it, or leave it out with `deny`.');
  }
  const spec = toSpec(offered, serverName, version, config);
  for (const [field, schema] of Object.entries({ inputSchema: spec.inputSchema, outputSchema: spec.outputSchema })) {
    const wrong = schema === undefined || compiled.has(hash) ? null : check(schema);
    if (wrong !== null) return withhold(serverName, 'invalid', hash, `its \`${field}\` is no valid JSON Schema: ${wrong}. Report it to the authors of the server, or leave the tool out with \`deny\`.`);
  }
  return { kind: 'listed', tool: { serverName, hash, spec } };
}

const withhold = (serverName: string, reason: WithheldTool['reason'], hash: string | null, message: string): Judged => ({ kind: 'withheld', tool: { serverName, reason, hash, message } });

const nameOf = (offered: unknown): string => (isJsonObject(offered) && typeof offered['name'] === 'string' ? offered['name'].slice(0, 256) : '');

/** Names come from the server: `constructor` is not something that we inherited. */
const ruleOf = (config: McpConfig, serverName: string): McpConfig['tools'][string] => (Object.hasOwn(config.tools, serverName) ? (config.tools[serverName] ?? {}) : {});
const pinOf = (pins: Pins, serverName: string): string | undefined => (Object.hasOwn(pins, serverName) ? pins[serverName] : undefined);

function isAllowed(serverName: string, config: McpConfig): boolean {
  const rule = ruleOf(config, serverName);
  if (config.deny.includes(serverName) || rule.allow === false) return false;
  return config.allow === null || rule.allow === true || config.allow.includes(serverName);
}

function hashTool(offered: JsonObject): string {
  const { description, inputSchema = null, outputSchema = null, annotations = null } = offered;
  return hashJson({ description: typeof description === 'string' ? description : null, input_schema: inputSchema, output_schema: outputSchema, annotations });
}

function problemOf(offered: JsonObject): string | null {
  const { inputSchema, outputSchema, annotations, execution } = offered;
  if (!isJsonObject(inputSchema) || inputSchema['type'] !== 'object') return 'its `inputSchema` is no JSON Schema of an object. That is a fault of the server: report it there, or leave the tool out with `deny`.';
  for (const [field, value] of Object.entries({ inputSchema, outputSchema: outputSchema ?? null, annotations: annotations ?? null })) {
    if (value !== null && (!isJsonObject(value) || isTooLarge(value))) return `its \`${field}\` is no JSON object, or larger than ${MCP_LIMITS.schemaBytes} bytes or ${MCP_LIMITS.schemaDepth} levels. Leave the tool out with \`deny\`.`;
  }
  if (isJsonObject(execution) && execution['taskSupport'] === 'required') return 'it can only be called as a task, which the platform does not do. Leave it out with `deny`.';
  return null;
}

/** Depth first: what is nested without end cannot be written as text. */
const isTooLarge = (value: JsonObject): boolean => isDeeperThan(value, MCP_LIMITS.schemaDepth) || Buffer.byteLength(JSON.stringify(value)) > MCP_LIMITS.schemaBytes;

function isDeeperThan(value: JsonValue, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((item: JsonValue) => isDeeperThan(item, levels - 1));
}

function toSpec(offered: JsonObject, serverName: string, version: string, config: McpConfig): ToolSpec {
  const { description, inputSchema, outputSchema, annotations } = offered;
  const rule = ruleOf(config, serverName);
  const hints = config.trustAnnotations && isJsonObject(annotations) ? fromAnnotations(annotations) : { effect: 'write' as const, idempotent: false };
  return {
    name: fitToolName(serverName, config.prefix),
    version,
    description: (typeof description === 'string' ? description : '').slice(0, MCP_LIMITS.descriptionChars),
    inputSchema: toSchema2020(isJsonObject(inputSchema) ? inputSchema : {}),
    ...(isJsonObject(outputSchema) ? { outputSchema: toSchema2020(outputSchema) } : {}),
    effect: rule.effect ?? hints.effect,
    idempotent: rule.idempotent ?? hints.idempotent,
    timeoutMs: Math.min(rule.timeoutMs ?? LIMITS.toolTimeoutMs, LIMITS.toolTimeoutCeilingMs),
    untrustedOutput: rule.untrustedOutput ?? true,
  };
}

/**
 * The defaults of the MCP specification are the worst cases: without a hint a tool is destructive and its world open.
 * The worst that is said counts: destructive, then egress. What merely says nothing is a write.
 */
function fromAnnotations(annotations: JsonObject): { readonly effect: ToolEffect; readonly idempotent: boolean } {
  const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = annotations;
  if (readOnlyHint === true) return { effect: 'read', idempotent: true };
  const effect = destructiveHint === true ? 'destructive' : openWorldHint === true ? 'egress' : 'write';
  return { effect, idempotent: idempotentHint === true };
}
