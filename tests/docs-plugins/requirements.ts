import { spawnSync } from 'node:child_process';

/**
 * True where all of these programs are there. Where one is not, a page cannot be followed: said loudly on a
 * developer's machine, and a failure where tests decide (CI=true).
 */
export function canFollow(page: string, programs: Readonly<Record<string, readonly string[]>>): boolean {
  const missing = Object.entries(programs).filter(([program, args]) => spawnSync(program, [...args], { stdio: 'ignore' }).status !== 0).map(([program]) => program);
  if (missing.length === 0) return true;
  const message = `${page} is NOT tested: ${missing.join(', ')} cannot be run here. Install it.`;
  if (process.env['CI'] === 'true') throw new Error(message);
  process.stderr.write(`\n*** ${message}\n\n`);
  return false;
}

/** The reader's own environment, but for what would lead the command line to another server. */
export function readerEnvironment(root: string): Readonly<Record<string, string | undefined>> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OPENEAAP_|OPENAI_|DATABASE_URL$|DB_|NODE_OPTIONS$|NODE_ENV$|VITEST)/.test(name));
  return { ...Object.fromEntries(kept), OPENEAAP: root, PATH: `${root}/node_modules/.bin:${process.env['PATH'] ?? ''}`, NO_COLOR: '1', LOG_LEVEL: 'warn', OPENEAAP_DRAIN_SECONDS: '3' };
}
