import { randomBytes } from 'node:crypto';

/**
 * Makes the credentials of the steps, and looks for them in everything that comes back. One counts
 * as seen as it is and in base64, which is how careless dumps of bytes look.
 */
export interface LeakWatch {
  /** A credential that looks like a real one, occurs nowhere by chance and must not be seen again. */
  readonly handOut: (name: string) => string;
  /** Looks into bytes that came from the plugin; `where` says in words what they are. */
  readonly inspect: (bytes: Buffer, where: string) => void;
  /** Names of the credentials in a text, each once. */
  readonly findIn: (text: string) => readonly string[];
  /** In words, each place once. */
  readonly leaks: () => readonly string[];
}

/** A multiple of 3 bytes, so that its base64 is the beginning of the base64 of every credential. */
const PREFIX = 'sk-conformance-';
const RANDOM_BYTES = 18;

export function createLeakWatch(): LeakWatch {
  const secrets: { readonly name: string; readonly forms: readonly string[] }[] = [];
  const leaks = new Set<string>();
  const beginnings = [PREFIX, toBase64(PREFIX)];
  const namesIn = (bytes: Buffer): readonly string[] => {
    // Hundreds are handed out in a run; few answers are worth a look for each.
    if (!beginnings.some((beginning) => bytes.includes(beginning))) return [];
    return [...new Set(secrets.filter(({ forms }) => forms.some((form) => bytes.includes(form))).map(({ name }) => name))];
  };
  return {
    handOut: (name) => {
      const value = `${PREFIX}${randomBytes(RANDOM_BYTES).toString('hex')}`;
      secrets.push({ name, forms: [value, toBase64(value)] });
      return value;
    },
    inspect: (bytes, where) => {
      for (const name of namesIn(bytes)) leaks.add(`${name} in ${where}`);
    },
    findIn: (text) => namesIn(Buffer.from(text)),
    leaks: () => [...leaks],
  };
}

const toBase64 = (text: string): string => Buffer.from(text).toString('base64').replace(/=+$/, '');
