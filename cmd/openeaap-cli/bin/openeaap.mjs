#!/usr/bin/env node
// The installed command. It is a file of its own because package managers link it before anything is built.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/main.js', import.meta.url);
if (existsSync(fileURLToPath(main))) await import(main.href);
else {
  console.error('openeaap is not built yet. Run "npm start" or "npm run build" in the project first.');
  process.exit(1);
}
