import { createHash } from 'node:crypto';

const NAME_CHARS = 64;

/**
 * The name under which the platform knows a tool: letters, digits, _ and -, at most 64. It depends on the server's
 * name for the tool and the prefix alone, so policies can rely on it. Two names may become one: the caller looks.
 */
export function fitToolName(name: string, prefix: string): string {
  const fitted = `${prefix}${name}`.replaceAll(/[^A-Za-z0-9_-]/g, '_');
  if (fitted.length <= NAME_CHARS) return fitted;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${fitted.slice(0, NAME_CHARS - digest.length - 1)}_${digest}`;
}
