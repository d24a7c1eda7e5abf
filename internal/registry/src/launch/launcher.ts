/**
 * Starts copies of a plugin somewhere: a process, a container, a Deployment. A launcher knows nothing of gRPC; it
 * answers where the plugin can be reached and tells when it is gone.
 */
export interface Launcher {
  /** It keeps `request.replicas` copies by itself, and is asked for one launch. */
  readonly replicates?: true;
  /**
   * Resolves when the copy can be connected to, or at least when nothing more can be done here to make it so.
   * Errors: PlatformError `unavailable` that names the plugin, what was tried and the cure, with the end of the
   * plugin's own output when it has any; `invalid_input` when the declaration cannot work at all.
   */
  readonly launch: (request: LaunchRequest, signal: AbortSignal) => Promise<Launched>;
}

export interface LaunchRequest {
  /** Name of the plugin; letters, digits and `-`. */
  readonly plugin: string;
  /** 0, 1, 2 …: which copy. A launcher that replicates by itself (Kubernetes) is asked for 0 only. */
  readonly replica: number;
  /** How many copies are wanted altogether. */
  readonly replicas: number;
  /** What the plugin is told beside the contract's own variables. Values may be secret. */
  readonly environment: Readonly<Record<string, string>>;
  /** Every call will carry it; the plugin refuses others (`OPENEAAP_PLUGIN_TOKEN`). */
  readonly token: string;
  /** How long the copy may take to listen, in milliseconds. */
  readonly startTimeoutMs: number;
  /** One line of the plugin's own output, for the log; already cut to a sane length. */
  readonly onOutput: (line: string) => void;
}

export interface Launched {
  /** A gRPC target: `unix:/path`, `127.0.0.1:1234`, `dns:///service.namespace.svc:50051`. */
  readonly target: string;
  /** null: plain text, which is for loopback and Unix sockets only. */
  readonly tls: LaunchedTls | null;
  /** The token that the copy really takes, where it is not the one of the request (a Deployment that another node made). */
  readonly token?: string;
  /** Resolves when the copy is gone, with what is known of why, in words. Never rejects. */
  readonly exited: Promise<string>;
  /** Ends the copy: a polite signal, its grace, then force. Resolves when it is gone. Never rejects. */
  readonly stop: (graceMs: number) => Promise<void>;
}

/** PEM texts of one connection: whom we believe, and who we are. */
export interface LaunchedTls {
  readonly ca: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** The name that the plugin's certificate is made out to. */
  readonly serverName: string;
}
