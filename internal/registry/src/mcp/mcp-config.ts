import type { FetchLike } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { ToolEffect } from '@openeaap/kernel';

/** An MCP server as it is declared, with every default filled in. */
export interface McpConfig {
  /** Name of the plugin; in every message about it. */
  readonly plugin: string;
  readonly transport: McpTransport;
  /**
   * Believe what the server says about the effects of its tools. They are hints by an untrusted party: without this
   * every tool that has no rule of its own is a `write` that must not be repeated.
   */
  readonly trustAnnotations: boolean;
  /** Put before the name of each tool, so that two servers with a `search` do not collide; `''`: nothing. */
  readonly prefix: string;
  /** Only these tools are offered, by the server's own names, with those that have a rule with `allow: true`; null: all. */
  readonly allow: readonly string[] | null;
  /** These are not offered, whatever else says so. */
  readonly deny: readonly string[];
  /** By the server's own names. */
  readonly tools: Readonly<Record<string, McpToolRule>>;
  /** Withhold a tool whose description or schema is not what was accepted. */
  readonly pin: boolean;
  /** How long the server may take until it has told what it offers. The first start by `npx` or `uvx` downloads. */
  readonly startTimeoutMs: number;
}

/** A text, or the name of the secret that holds it. */
export type McpText = string | { readonly secret: string };

export type McpTransport =
  | {
      readonly kind: 'stdio';
      readonly command: string;
      readonly args: readonly string[];
      /** What the server gets beside PATH, HOME and LANG. */
      readonly env: Readonly<Record<string, McpText>>;
      /** null: the folder of the platform. */
      readonly cwd: string | null;
    }
  | {
      readonly kind: 'http';
      readonly url: string;
      readonly headers: Readonly<Record<string, McpText>>;
      /** Name of the secret that is sent as `authorization: Bearer`; null: none. */
      readonly bearerSecret: string | null;
      /** Allow plain http to another machine. */
      readonly plainHttp: boolean;
    };

/** What the operator knows better than the server. What is not set is taken from the annotations if they are trusted. */
export interface McpToolRule {
  readonly effect?: ToolEffect;
  readonly idempotent?: boolean;
  readonly timeoutMs?: number;
  readonly allow?: boolean;
  /** false: the operator vouches for what the tool returns. */
  readonly untrustedOutput?: boolean;
}

/** Accepted hashes by the server's own names of its tools. A tool that is not in here is accepted as it is seen first. */
export type Pins = Readonly<Record<string, string>>;

/** What a connection needs of the platform. */
export interface McpDeps {
  /** Version of the platform; the server is told. */
  readonly version: string;
  /** The value of a secret; undefined: not configured. */
  readonly secret: (name: string) => string | undefined;
  /** PATH, HOME and LANG of the platform: all that a server over stdio inherits. */
  readonly environment: Readonly<Record<'PATH' | 'HOME' | 'LANG', string | undefined>>;
  /** What the operator has accepted, by the server's own names of its tools. */
  readonly pins: Pins;
  /** What the server prints, line by line, for the log; secrets of its declaration are masked. */
  readonly onOutput: (line: string) => void;
  readonly fetch: FetchLike;
}

/** The limits of a conversation with a server that nobody vouches for. */
export const MCP_LIMITS = {
  /** Of one server; the rest is withheld. */
  tools: 256,
  /** Pages of one listing: a cursor that never ends ends here. */
  listPages: 64,
  descriptionChars: 8_192,
  /** Schema of one tool, as JSON text. */
  schemaBytes: 65_536,
  schemaDepth: 32,
  /** Beside the result itself: envelope and escapes of one message. */
  envelopeBytes: 65_536,
  /** Text of an embedded resource that is passed on; longer ones are described. */
  resourceChars: 16_384,
  /** Blocks of one result that are passed on. */
  contentBlocks: 256,
  /** Text of a failed call that the agent is shown. */
  errorChars: 2_048,
  /** Lines on standard output that are no messages before the server is given up. */
  garbageLines: 100,
  /** One line of output that goes to the log. */
  outputLineChars: 2_000,
  /** Messages that nobody asked for, within `unaskedWindowMs`, before the server is given up. */
  unaskedMessages: 1_000,
  unaskedWindowMs: 10_000,
  /** Between two listings, however often the server says that its tools have changed. */
  relistIntervalMs: 1_000,
  /** A server that is asked to end may take this long, then again this long after SIGTERM. */
  stopGraceMs: 2_000,
} as const;
