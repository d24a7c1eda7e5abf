// Runs the built server as a child with our terminal and hands signals on.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { root } from './bootstrap.mjs';

// A step makes much that is garbage at once; in a young generation of 16 MiB some of it was copied before it died.
export const NODE_FLAGS = ['--max-semi-space-size=64'];

export function runServer(args) {
  const child = spawn(process.execPath, [...NODE_FLAGS, path.join(root, 'cmd/openeaap-server/dist/main.js'), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  // A terminal sends Ctrl-C to both of us; the child decides when it is done.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
  child.on('error', (error) => {
    console.error(`The server could not be started: ${error.message}`);
    process.exit(1);
  });
}
