/** The address of the gateway is among a think's credentials, and is none. */
const NO_SECRET: ReadonlySet<string> = new Set(['OPENEAAP_GATEWAY_URL']);

/** Takes the credentials of a step out of a text that leaves it: an error or a line of the log. */
export function redactSecrets(text: string, credentials: Readonly<Record<string, string>>): string {
  return Object.entries(credentials)
    .filter(([name, value]) => value !== '' && !NO_SECRET.has(name))
    // The longest first: one may be the beginning of another.
    .sort(([, a], [, b]) => b.length - a.length)
    .reduce((cleaned, [, value]) => cleaned.replaceAll(value, '[secret]'), text);
}
