#!/usr/bin/env node
// The installed command. It is a file of its own because package managers link it before anything is built.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/main.js', import.meta.url);
if (existsSync(fileURLToPath(main))) await import(main.href);
else {
  process.stderr.write('openeaap-worker-runtime is not built yet. Run "npm start" or "npm run build" in the project first.\n');
  process.exit(1);
}
