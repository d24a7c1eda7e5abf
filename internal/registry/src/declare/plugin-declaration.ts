import type { ToolEffect } from '@openeaap/kernel';

/** A plugin as an operator declares it, in `configs/plugins.yaml` or by the API. Every default is filled in. */
export interface PluginDeclaration {
  readonly name: string;
  readonly type: 'runtime-worker' | 'mcp';
  readonly start: PluginStart;
  /** Copies that run at once; more than one is for `command` and `image`. */
  readonly replicas: number;
  /** What the plugin's process is told; not secret. */
  readonly env: Readonly<Record<string, string>>;
  /** Names of secrets that tools of this plugin may be given; nothing else is, whatever a tool asks for. */
  readonly secrets: readonly string[];
  /** How long a copy may take to be ready. */
  readonly startTimeoutMs: number;
  /** Only for MCP servers. */
  readonly mcp: McpGovernance;
}

/** How a plugin comes to be there. */
export type PluginStart =
  | { readonly kind: 'command'; readonly command: readonly string[]; readonly cwd: string | null }
  | { readonly kind: 'image'; readonly image: string; readonly resources: { readonly cpu: string | null; readonly memory: string | null }; readonly runtimeClass: string | null }
  | { readonly kind: 'address'; readonly address: string; readonly tls: TlsFiles | null; readonly tokenEnv: string | null }
  | { readonly kind: 'url'; readonly url: string; readonly tokenEnv: string | null; readonly headers: Readonly<Record<string, string>> };

/** PEM files; null: the system's authorities, no client certificate, the name in the address. */
export interface TlsFiles {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly serverName: string | null;
}

/** What the operator says about tools whose server cannot be believed. */
export interface McpGovernance {
  readonly prefix: string;
  /** null: all. */
  readonly allow: readonly string[] | null;
  readonly deny: readonly string[];
  readonly trustAnnotations: boolean;
  /** A tool whose description or schema changes is withheld until the operator restarts the plugin. */
  readonly pin: boolean;
  readonly tools: Readonly<Record<string, { readonly effect?: ToolEffect; readonly idempotent?: boolean; readonly timeoutMs?: number; readonly untrustedOutput?: boolean }>>;
}

/** Where it was declared: only a file may run commands on the node. */
export type DeclarationSource = 'file' | 'api';
