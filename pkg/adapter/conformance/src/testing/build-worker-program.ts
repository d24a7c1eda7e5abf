import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

/**
 * Bundles the reference worker so that Node runs it as a process of its own. It lies in `dist`,
 * where it finds its packages and git does not look. Resolves with the file.
 */
export async function buildWorkerProgram(): Promise<string> {
  const room = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
  const outDir = path.join(room, 'dist', 'testing', String(process.pid));
  await build({
    root: room,
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['source'] },
    ssr: { noExternal: [/^@openeaap\//], resolve: { conditions: ['source'] } },
    build: { ssr: 'src/testing/worker-program.ts', outDir, target: 'node20', minify: false, rollupOptions: { output: { entryFileNames: 'worker-program.mjs' } } },
  });
  return path.join(outDir, 'worker-program.mjs');
}
