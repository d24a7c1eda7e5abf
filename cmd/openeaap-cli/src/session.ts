import type { ApiClient } from './api-client.ts';
import type { CliIo } from './cli-io.ts';
import type { ConnectionFlags } from './config.ts';
import type { ExitCode } from './exit-code.ts';
import type { Output } from './output.ts';

/** What a command is given. */
export interface Session {
  readonly io: CliIo;
  readonly out: Output;
  readonly flags: ConnectionFlags;
  /** Finds the server; a command that needs none does not call it. */
  readonly connect: () => Promise<ApiClient>;
}

/** A command: `options` are its own flags as commander names them, then its arguments. */
export type Handler<O, A extends readonly unknown[]> = (session: Session, options: O, ...args: A) => Promise<ExitCode>;

/** Makes a handler into a commander action. */
export type Bind = <O, A extends readonly unknown[]>(handler: Handler<O, A>) => (...received: unknown[]) => Promise<void>;
