// node sdk/typescript/pack.mjs: makes dist-pack, the package as it is published. The platform's own packages that the
// SDK is built on are private: their code goes into the bundle and their types beside it, so that the package
// installs from a registry alone. Needs the build (npx tsc -b tsconfig.build.json). `--tarball DIR` packs it as well.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const out = path.join(here, 'dist-pack');
const SCOPE = '@openeaap/';
/** Our packages that come along, and where they live. */
const ROOMS = { sdk: here, adapter: path.join(root, 'pkg/adapter'), kernel: path.join(root, 'internal/kernel'), proto: path.join(root, 'api/proto') };
const ENTRIES = { index: 'src/index.ts', 'client/index': 'src/client/index.ts' };

rmSync(out, { recursive: true, force: true });
const imported = await bundle();
copyTypes();
writeManifest(imported);
for (const name of ['README.md']) copyFileSync(path.join(here, name), path.join(out, name));
copyFileSync(path.join(root, 'LICENSE'), path.join(out, 'LICENSE'));
const at = process.argv.indexOf('--tarball');
if (at >= 0) pack(process.argv[at + 1] ?? '.');

/** Bundles both entries; returns what they still import, each by its package. */
async function bundle() {
  const result = await build({
    configFile: false,
    root: here,
    logLevel: 'error',
    resolve: { conditions: ['@openeaap/source'] },
    ssr: { noExternal: [/^@openeaap\//], resolve: { conditions: ['@openeaap/source'] } },
    build: { ssr: true, target: 'node20', outDir: path.join(out, 'dist'), emptyOutDir: true, minify: false, sourcemap: false, rollupOptions: { input: Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, path.join(here, file)])), output: { format: 'es', entryFileNames: '[name].js', chunkFileNames: 'shared/[name]-[hash].js' } } },
  });
  const chunks = result.output.filter((part) => part.type === 'chunk');
  const files = new Set(chunks.map((chunk) => chunk.fileName));
  const specifiers = chunks.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]).filter((specifier) => !files.has(specifier) && !specifier.startsWith('node:'));
  return [...new Set(specifiers.map((specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')))].sort();
}

/** The declarations of all rooms, with paths between them in place of names that no registry knows. */
function copyTypes() {
  for (const [room, folder] of Object.entries(ROOMS)) {
    const from = path.join(folder, 'dist');
    if (!existsSync(path.join(from, 'index.d.ts'))) throw new Error(`${from} is not built. Run: npx tsc -b tsconfig.build.json`);
    for (const name of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.d.ts') || name.split(path.sep).includes('testing')) continue;
      const target = path.join(out, 'types', room, name);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, withPaths(readFileSync(path.join(from, name), 'utf8'), path.dirname(target)));
    }
  }
}

function withPaths(text, folder) {
  return text
    .replaceAll(/(from\s+|import\()(['"])@openeaap\/([a-z]+)\2/g, (_all, before, quote, room) => {
      const to = path.relative(folder, path.join(out, 'types', room, 'index.js')).split(path.sep).join('/');
      return `${before}${quote}${to.startsWith('.') ? to : `./${to}`}${quote}`;
    })
    .replaceAll(/(from\s+|import\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2')
    .replaceAll(/^\/\/# sourceMappingURL=.*$/gm, '');
}

function writeManifest(imported) {
  const manifests = Object.values(ROOMS).map((folder) => JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')));
  const versions = Object.assign({}, ...manifests.map(({ dependencies }) => dependencies));
  const missing = imported.filter((name) => name.startsWith(SCOPE) || versions[name] === undefined);
  if (missing.length > 0) throw new Error(`The bundle imports ${missing.join(', ')}, which no package.json declares or no registry has.`);
  const { name, version, license } = manifests[0];
  const manifest = {
    name,
    version,
    description: 'Tools and agents for OpenEAAP in TypeScript, and a client of its REST API.',
    license,
    type: 'module',
    engines: { node: '>=20.19' },
    sideEffects: false,
    files: ['dist', 'types', 'README.md', 'LICENSE'],
    exports: {
      '.': { types: './types/sdk/index.d.ts', default: './dist/index.js' },
      './client': { types: './types/sdk/client/index.d.ts', default: './dist/client/index.js' },
      './package.json': './package.json',
    },
    dependencies: Object.fromEntries(imported.map((dependency) => [dependency, versions[dependency]])),
  };
  writeFileSync(path.join(out, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

function pack(folder) {
  mkdirSync(folder, { recursive: true });
  const { status, stdout } = spawnSync('npm', ['pack', '--silent', '--pack-destination', path.resolve(folder)], { cwd: out, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) throw new Error('npm pack failed.');
  process.stdout.write(`${path.resolve(folder, stdout.trim())}\n`);
}
