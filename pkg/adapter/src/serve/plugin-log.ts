/** What a plugin tells its operator, as one object a line or to a logger of any kind. Never a secret, never a payload. */
export type PluginLog = (entry: PluginLogEntry) => void;

export interface PluginLogEntry {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly [field: string]: string | number | boolean | undefined;
}

/** One line of JSON an entry, for standard error: standard output has the announcement and nothing else. */
export function createLineLog(write: (line: string) => void, now: () => Date = () => new Date()): PluginLog {
  return (entry) => write(`${JSON.stringify({ time: now().toISOString(), ...entry })}\n`);
}
