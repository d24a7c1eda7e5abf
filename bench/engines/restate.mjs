// Restate as its documentation makes an agent loop: a handler, each model call and each tool call in `ctx.run`. The server,
// started by the benchmark from its npm package, keeps the journal in a store of its own; this is the service process.
import http2 from 'node:http2';
import * as restate from '@restatedev/restate-sdk';
import * as clients from '@restatedev/restate-sdk-clients';

const POLL_MS = 50;

export async function open({ server, steps, hooks }) {
  const agent = createAgent(steps, hooks);
  const endpoint = restate.endpoint().bind(agent);
  const listener = http2.createServer(endpoint.http2Handler());
  const sessions = new Set();
  listener.on('session', (session) => sessions.add(session.once('close', () => sessions.delete(session))));
  await new Promise((resolve, reject) => listener.once('error', reject).listen(server.servicePort, '127.0.0.1', resolve));
  await register(server);
  const client = clients.connect({ url: server.ingressUrl }).serviceClient({ name: 'agent' });
  return {
    start: async (id) => {
      await client.run({ id });
      return id;
    },
    // The server calls the service again by itself as soon as it answers on its address.
    recover: async (ids) => {
      for (;;) {
        const { rows } = await query(server, `SELECT count(*) AS n FROM sys_invocation WHERE target_service_name = 'agent' AND status = 'completed' AND completion_result = 'success'`);
        const finished = Number(rows[0].n);
        if (finished >= ids.length) return { finished, waiting: 0 };
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    close: async () => {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

function createAgent(steps, hooks) {
  return restate.service({
    name: 'agent',
    handlers: {
      run: async (ctx, { id }) => {
        for (let n = 0; ; n += 1) {
          const reply = await ctx.run('model', async () => {
            await hooks.model(id, n);
            return n < steps ? { text: 'next', call: { id: `c${n}`, tool: 'echo', args: { n } } } : { text: 'done', call: null };
          });
          if (reply.call === null) return reply.text;
          await ctx.run('tool', async () => {
            await hooks.tool(id, reply.call.args.n);
            return reply.call.args;
          });
        }
      },
    },
  });
}

/** Registering the same address again is what a deployment does; `force` since the address stays while the process is another. */
async function register(server) {
  const response = await fetch(`${server.adminUrl}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${server.servicePort}`, force: true }),
  });
  if (!response.ok) throw new Error(`Restate refused the service: ${response.status} ${await response.text()}`);
}

async function query(server, text) {
  const response = await fetch(`${server.adminUrl}/query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: text }),
  });
  if (!response.ok) throw new Error(`Restate refused a query: ${response.status} ${await response.text()}`);
  return response.json();
}
