/**
 * The process that a plugin is: the one file of this package that touches it. `serve` takes all of it as an
 * argument, so that a test or another host can stand in.
 */
export interface PluginProcess {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly writeOutput: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** Calls `stop` at the first signal to end; returns how to forget it. */
  readonly onStop: (stop: () => void) => () => void;
  /** Ends with exit code 0 once nothing is left to do, and in any case after `graceMs`. */
  readonly end: (graceMs: number) => void;
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export function thisProcess(): PluginProcess {
  return {
    environment: process.env,
    writeOutput: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
    onStop: (stop) => {
      for (const name of STOP_SIGNALS) process.on(name, stop);
      return () => {
        for (const name of STOP_SIGNALS) process.off(name, stop);
      };
    },
    end: (graceMs) => {
      process.exitCode = 0;
      // Something of the program's own may still be open, as a pool of connections; it is not waited for for ever.
      setTimeout(() => process.exit(0), graceMs).unref();
    },
  };
}
