// npm run serve: starts the platform without the job, for scripts and for good.
import { ensureReady } from './bootstrap.mjs';
import { runServer } from './run-server.mjs';

ensureReady();
runServer(process.argv.slice(2));
