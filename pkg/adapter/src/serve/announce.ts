/** The one line that a plugin prints to standard output once it listens, for whoever started it. */
export function announcement(address: string): string {
  return `${JSON.stringify({ openeaap_plugin: 1, listen: address })}\n`;
}

/** How long a plugin that is told to end finishes what it has. */
export const DRAIN_MS = 10_000;
