import type { McpConfig, McpDeps } from './mcp-config.ts';
import { MCP_LIMITS } from './mcp-config.ts';

/** What a server prints: to the log at once, and its end for the message if it does not come up. */
export interface ServerOutput {
  readonly add: (line: string) => void;
  readonly tail: () => string;
  readonly mask: (text: string) => string;
}

const TAIL_LINES = 5;

export function createServerOutput(config: McpConfig, deps: Pick<McpDeps, 'secret' | 'onOutput'>): ServerOutput {
  const lines: string[] = [];
  const secrets = secretNames(config).flatMap((name) => {
    const value = deps.secret(name);
    return value === undefined || value === '' ? [] : [{ name, value }];
  });
  const mask = (text: string): string => secrets.reduce((masked, { name, value }) => masked.replaceAll(value, `[${name}]`), text);
  return {
    add: (line) => {
      const masked = mask(line);
      lines.push(masked);
      if (lines.length > TAIL_LINES) lines.shift();
      deps.onOutput(masked);
    },
    tail: () => lines.join(' | ').slice(0, MCP_LIMITS.errorChars),
    mask,
  };
}

function secretNames(config: McpConfig): readonly string[] {
  const { transport } = config;
  const texts = Object.values(transport.kind === 'stdio' ? transport.env : transport.headers);
  const named = texts.flatMap((text) => (typeof text === 'string' ? [] : [text.secret]));
  return transport.kind === 'http' && transport.bearerSecret !== null ? [...named, transport.bearerSecret] : named;
}
