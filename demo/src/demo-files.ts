import { fileURLToPath } from 'node:url';

/** What the demo brings along, beside its programs. */
export const demoFiles = {
  sopsDir: fileURLToPath(new URL('../sops', import.meta.url)),
  agentFile: fileURLToPath(new URL('../agent.yaml', import.meta.url)),
} as const;
