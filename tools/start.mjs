// npm start: installs, builds, starts the platform with embedded storage and runs the flagship job.
//   -- --once    finish after the job (also without a terminal)
//   -- --fresh   wipe ./.openeaap first
//   everything else goes to the server (see: npm run serve -- --help)
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ensureReady, root } from './bootstrap.mjs';
import { runServer } from './run-server.mjs';
import { wipeState } from './wipe-state.mjs';

const args = process.argv.slice(2);
const own = args.filter((arg) => arg !== '--fresh');
// As the server reads it, so that the folder that is wiped is the folder that is used.
const { values } = parseArgs({ args: own, options: { 'data-dir': { type: 'string' } }, strict: false });
const dataDir = path.resolve(root, values['data-dir'] || process.env.OPENEAAP_DATA_DIR || '.openeaap');

ensureReady();
if (args.includes('--fresh')) await wipeState(dataDir);
runServer(['--job', ...own]);
