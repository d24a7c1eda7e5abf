import { StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import type { ToolEffect } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import { ANSWER_LOST } from './http-transport.ts';
import { MCP_LIMITS } from './mcp-config.ts';

export interface FailedCall {
  readonly plugin: string;
  readonly tool: string;
  readonly effect: ToolEffect;
  /** Why the connection has ended, if it has. */
  readonly ended: string | null;
}

/**
 * What a call that failed on its way means. The one question is whether it may have had its effect: `tool_failed` says
 * certainly not (or that repeating is no use), `tool_unavailable` that it was not sent or only reads, `internal` that
 * nobody knows.
 */
export function toCallError(thrown: unknown, call: FailedCall): PlatformError {
  if (thrown instanceof PlatformError) return thrown;
  if (thrown instanceof McpError) return fromMcpError(thrown, call);
  if (isRefused(thrown)) return fromStatus(thrown.code ?? 0, thrown, call);
  if (isUnsent(thrown)) return unavailable(call, 'cannot be reached; the call was not sent', thrown);
  return lost(call, call.ended ?? 'the connection broke', thrown);
}

/** Of JSON-RPC; the first is the SDK's own, for requests that were waiting when the connection ended. */
const CODES = { connectionClosed: -32_000, parseError: -32_700, invalidRequest: -32_600, methodNotFound: -32_601, invalidParams: -32_602 } as const;

function fromMcpError(error: McpError, call: FailedCall): PlatformError {
  const said = error.message.replace(/^MCP error -?\d+: /, '').slice(0, MCP_LIMITS.errorChars);
  if (error.data === ANSWER_LOST || error.code === CODES.connectionClosed) return lost(call, call.ended ?? said, error);
  switch (error.code) {
    case CODES.parseError:
    case CODES.invalidRequest:
    case CODES.methodNotFound:
      return new PlatformError('tool_failed', `The MCP server "${call.plugin}" refused the call of ${call.tool}: ${said}`, { cause: error });
    case CODES.invalidParams:
      // Servers say this of their own results as well, and then the call has been made.
      if (/output|structured|result/i.test(said)) return lost(call, `the server says that its own result is wrong (${said})`, error);
      return new PlatformError('tool_failed', `The MCP server "${call.plugin}" refused the arguments of ${call.tool}: ${said}`, { cause: error });
    default:
      return lost(call, `the server answered with the error ${error.code}: ${said}`, error);
  }
}

function fromStatus(status: number, thrown: unknown, call: FailedCall): PlatformError {
  switch (status) {
    case 401:
    case 403:
      return new PlatformError('tool_failed', `The MCP server "${call.plugin}" refused our credentials (HTTP ${status}). Check the secret that its declaration names.`, { cause: thrown });
    case 404:
    case 429:
      return unavailable(call, `did not take the call (HTTP ${status})`, thrown);
    default:
      if (status >= 400 && status < 500) return new PlatformError('tool_failed', `The MCP server "${call.plugin}" refused the call of ${call.tool} (HTTP ${status}).`, { cause: thrown });
      return lost(call, `the server answered with HTTP ${status}`, thrown);
  }
}

/** The tool never saw the call. */
const unavailable = (call: FailedCall, what: string, cause: unknown): PlatformError => new PlatformError('tool_unavailable', `The MCP server "${call.plugin}" ${what}.`, { cause, details: { sent: false } });

function lost(call: FailedCall, why: string, cause: unknown): PlatformError {
  const begin = `The MCP server "${call.plugin}" gave no result for the call of ${call.tool}: ${why}.`;
  if (call.effect === 'read') return new PlatformError('tool_unavailable', begin, { cause });
  return new PlatformError('internal', `${begin} Whether the call had its effect is not known; look at the product behind it.`, { cause });
}

const isRefused = (thrown: unknown): thrown is StreamableHTTPError => thrown instanceof StreamableHTTPError && (thrown.code ?? 0) >= 400;

/** Codes of the network after which not one byte of a request has been sent. */
const UNSENT: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS_CERT_ALTNAME_INVALID']);

/** fetch says `fetch failed`; why is in the cause, or in each of its errors where a name has several addresses. */
function isUnsent(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return thrown.errors.every((error) => isUnsent(error));
  if ('code' in thrown && typeof thrown.code === 'string' && UNSENT.has(thrown.code)) return true;
  return isUnsent(thrown.cause);
}
