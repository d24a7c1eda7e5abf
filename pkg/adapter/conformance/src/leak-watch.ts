/**
 * Remembers every credential that was handed out and looks for it in everything that came back. A
 * credential counts as seen as it is and in base64, which is how careless dumps of bytes look.
 */
export interface LeakWatch {
  /** From now on `value` must not be seen. */
  readonly handOut: (name: string, value: string) => void;
  /** Looks into bytes that came from the plugin; `where` says in words what they are. */
  readonly inspect: (bytes: Buffer, where: string) => void;
  /** Names of the credentials in a text, each once. */
  readonly findIn: (text: string) => readonly string[];
  /** In words, each place once. */
  readonly leaks: () => readonly string[];
}

export function createLeakWatch(): LeakWatch {
  const secrets: { readonly name: string; readonly forms: readonly Buffer[] }[] = [];
  const leaks = new Set<string>();
  const namesIn = (bytes: Buffer): readonly string[] => [...new Set(secrets.filter(({ forms }) => forms.some((form) => bytes.includes(form))).map(({ name }) => name))];
  return {
    handOut: (name, value) => void secrets.push({ name, forms: [Buffer.from(value), Buffer.from(Buffer.from(value).toString('base64').replace(/=+$/, ''))] }),
    inspect: (bytes, where) => {
      for (const name of namesIn(bytes)) leaks.add(`${name} in ${where}`);
    },
    findIn: (text) => namesIn(Buffer.from(text)),
    leaks: () => [...leaks],
  };
}
