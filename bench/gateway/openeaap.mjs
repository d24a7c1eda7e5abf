// OpenEAAP's gateway as it is run.
import { startScript } from '../peer-process.mjs';

export async function startOpenEaap({ upstream, flags }) {
  const worker = startScript('gateway/openeaap-alone.mjs', { flags, env: { BENCH_UPSTREAM: `http://127.0.0.1:${upstream}/v1` } });
  const port = await worker.ready;
  return { pid: worker.pid, target: { host: '127.0.0.1', port, path: '/v1/chat/completions', headers: { authorization: 'Bearer bench' } }, stop: worker.close };
}
