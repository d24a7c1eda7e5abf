import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { ContentBlock } from '@modelcontextprotocol/sdk/types.js';
import type { ToolOutcome } from '@openeaap/adapter';
import type { JsonObject, JsonValue } from '@openeaap/kernel';
import { LIMITS, PlatformError, isJsonObject } from '@openeaap/kernel';
import { MCP_LIMITS } from './mcp-config.ts';

/**
 * The result of a call in the platform's words: `structuredContent` if there is any; else what the blocks say, a single
 * one as itself and several as an array. Text that is a JSON object or array becomes one. Bytes never get in: images,
 * sounds and large resources are described. Errors: PlatformError `tool_failed` for `isError`; `internal` for a result
 * that is none, since the call has been made all the same.
 */
export function toOutcome(result: unknown, tool: string, plugin: string): ToolOutcome {
  const parsed = CallToolResultSchema.safeParse(result);
  if (!parsed.success) throw new PlatformError('internal', `The MCP server "${plugin}" answered the call of ${tool} with something that is no tool result. Whether the call had its effect is not known; update the server or report this to its authors.`);
  const { content, structuredContent, isError } = parsed.data;
  if (isError === true) throw new PlatformError('tool_failed', errorText(content, tool));
  const output = (structuredContent as JsonObject | undefined) ?? toJson(content);
  const bytes = Buffer.byteLength(JSON.stringify(output));
  if (bytes > LIMITS.toolResponseBytes) return { output: { truncated: true, bytes, limit_bytes: LIMITS.toolResponseBytes } };
  return { output };
}

function errorText(content: readonly ContentBlock[], tool: string): string {
  const text = content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n').trim();
  if (text === '') return `The tool ${tool} failed and did not say why.`;
  return text.length <= MCP_LIMITS.errorChars ? text : `${text.slice(0, MCP_LIMITS.errorChars)} …`;
}

function toJson(content: readonly ContentBlock[]): JsonValue {
  const [first, ...others] = content;
  if (first === undefined) return null;
  if (others.length === 0) return blockToJson(first);
  const blocks = content.slice(0, MCP_LIMITS.contentBlocks).map((block) => blockToJson(block));
  return content.length <= MCP_LIMITS.contentBlocks ? blocks : [...blocks, { omitted_blocks: content.length - MCP_LIMITS.contentBlocks }];
}

function blockToJson(block: ContentBlock): JsonValue {
  switch (block.type) {
    case 'text':
      return parseText(block.text);
    case 'image':
    case 'audio':
      return { type: block.type, mime_type: block.mimeType, bytes: base64Bytes(block.data), omitted: true };
    case 'resource_link':
      return { type: 'resource_link', uri: block.uri, name: block.name, ...(block.description === undefined ? {} : { description: block.description }), ...(block.mimeType === undefined ? {} : { mime_type: block.mimeType }) };
    case 'resource': {
      const { resource } = block;
      const base = { type: 'resource', uri: resource.uri, ...(resource.mimeType === undefined ? {} : { mime_type: resource.mimeType }) };
      if (!('text' in resource)) return { ...base, bytes: base64Bytes(resource.blob), omitted: true };
      if (resource.text.length > MCP_LIMITS.resourceChars) return { ...base, bytes: Buffer.byteLength(resource.text), truncated: true, preview: resource.text.slice(0, MCP_LIMITS.resourceChars / 8) };
      return { ...base, content: parseText(resource.text) };
    }
  }
}

/** A number or a quoted word in a text is text: only what is meant as JSON becomes JSON. */
function parseText(text: string): JsonValue {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) || Array.isArray(value) ? (value as JsonValue) : text;
  } catch {
    return text;
  }
}

const base64Bytes = (data: string): number => Math.floor((data.length * 3) / 4) - (data.endsWith('==') ? 2 : data.endsWith('=') ? 1 : 0);
