// npm run proto: lints the plugin protocol, compares it with the release, and generates its TypeScript.
//   -- --check     changes nothing; exit code 1 if the generated code is not what the file gives
//   -- --release   makes today's file the release that later ones are compared with
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from './bootstrap.mjs';

const PROTO = 'openeaap/runtime/v1/runtime.proto';
const home = path.join(root, 'api/proto');
const released = path.join(home, 'released/runtime-v1.json');
const generated = path.join(home, 'src/gen/runtime.ts');
const check = process.argv.includes('--check');

buf(['lint']);
if (process.argv.includes('--release')) buf(['build', '--exclude-source-info', '-o', released]);
buf(['breaking', '--against', released]);

const folder = mkdtempSync(path.join(tmpdir(), 'openeaap-proto-'));
try {
  const text = generate(folder);
  if (!check) {
    mkdirSync(path.dirname(generated), { recursive: true });
    writeFileSync(generated, text);
  } else if (!existsSync(generated) || readFileSync(generated, 'utf8') !== text) {
    console.error(`${path.relative(root, generated)} is not what ${PROTO} gives. Run: npm run proto`);
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function generate(out) {
  const template = {
    version: 'v2',
    plugins: [
      {
        local: path.join(root, 'node_modules/.bin/protoc-gen-ts_proto'),
        out,
        opt: ['outputServices=grpc-js', 'esModuleInterop=true', 'forceLong=number', 'oneof=unions-value', 'outputJsonMethods=false', 'outputPartialMethods=true', 'useExactTypes=false', 'useOptionals=none', 'unrecognizedEnum=true', 'useReadonlyTypes=true', 'noDefaultsForOptionals=false'],
      },
    ],
  };
  buf(['generate', '--template', JSON.stringify(template)]);
  return readFileSync(path.join(out, PROTO.replace(/\.proto$/, '.ts')), 'utf8');
}

function buf(args) {
  const { status, error } = spawnSync(path.join(root, 'node_modules/.bin/buf'), args, { cwd: home, stdio: 'inherit' });
  if (status !== 0) throw new Error(`buf ${args[0]} failed${error === undefined ? '' : `: ${error.message}`}`);
}
