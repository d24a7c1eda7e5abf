import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

export interface BundledProgram {
  /** A file that plain Node can run. */
  readonly file: string;
  remove(): Promise<void>;
}

/**
 * Makes one JavaScript file of a TypeScript program beside this one. Bundled from the sources, so a
 * test neither needs a build before it nor can run an old one. It lies in node_modules, so that its
 * imports of packages are found and nothing takes it for a source.
 */
export async function bundleFixture(name: string): Promise<BundledProgram> {
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  const outDir = join(root, 'node_modules', '.openeaap-test', `${name}-${process.pid}`);
  await mkdir(outDir, { recursive: true });
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['@openeaap/source'] },
    ssr: { noExternal: [/^@openeaap\//], external: ['pg'], resolve: { conditions: ['@openeaap/source'] } },
    build: { ssr: fileURLToPath(new URL(`${name}.ts`, import.meta.url)), outDir, target: 'node20', rollupOptions: { output: { entryFileNames: `${name}.mjs` } } },
  });
  return { file: join(outDir, `${name}.mjs`), remove: () => rm(outDir, { recursive: true, force: true }) };
}
