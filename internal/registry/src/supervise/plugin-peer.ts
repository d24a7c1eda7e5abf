import type { HostedAgent, ThinkContext, ThinkRequest, ThinkResponse, ToolContext, ToolInvocation, ToolOutcome } from '@openeaap/adapter';
import type { ToolSpec } from '@openeaap/kernel';

/** One live copy of a plugin, whatever it speaks: gRPC or MCP. */
export interface PluginPeer {
  readonly offer: PeerOffer;
  /** Tells when a living copy offers something else. */
  readonly onOffer?: (listener: (offer: PeerOffer) => void) => void;
  /** Errors: PlatformError; `details.sent` is false when the plugin certainly never saw the call. */
  readonly callTool: (invocation: ToolInvocation, context: ToolContext, timeoutMs: number) => Promise<ToolOutcome>;
  readonly think: (request: ThinkRequest, context: ThinkContext, timeoutMs: number) => Promise<ThinkResponse>;
  /** Errors: PlatformError, which counts as one failed look. */
  readonly checkHealth: (timeoutMs: number) => Promise<{ readonly serving: boolean; readonly detail: string }>;
  /** Resolves when the copy is known to be gone, with why in words. Never rejects. */
  readonly closed: Promise<string>;
  /** Lets go of it, and ends it if it was started here. Never rejects. */
  readonly close: (graceMs: number) => Promise<void>;
}

export interface PeerOffer {
  /** The plugin's own name and version. */
  readonly name: string;
  readonly version: string;
  /** E.g. `python 0.1.0`, `mcp`. */
  readonly sdk: string;
  readonly tools: readonly ToolSpec[];
  readonly agents: readonly HostedAgent[];
  /** 0: no limit. */
  readonly maxConcurrentSteps: number;
  /** What an operator should know, e.g. a tool that was withheld. */
  readonly warnings: readonly string[];
  /** Tools that are withheld because they are not what was accepted, with the hash that would have to be. */
  readonly changed: Readonly<Record<string, string>>;
}

/** Where the copies of a plugin come from, and how many of them there are to be. */
export interface PeerSource {
  readonly open: OpenPeer;
  readonly copies: number;
}

/** Starts or finds a copy and connects to it. Errors: PlatformError with the plugin's name and the cure. */
export type OpenPeer = (replica: number, signal: AbortSignal) => Promise<PluginPeer>;
