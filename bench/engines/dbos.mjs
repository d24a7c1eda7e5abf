// DBOS Transact as its documentation makes an agent loop: one workflow, each model call and each tool call a step of it.
import { DBOS } from '@dbos-inc/dbos-sdk';

export async function open({ url, steps, hooks }) {
  const agent = DBOS.registerWorkflow(
    async () => {
      const id = DBOS.workflowID;
      for (let n = 0; ; n += 1) {
        const reply = await DBOS.runStep(() => think(id, n), { name: 'model' });
        if (reply.call === null) return reply.text;
        await DBOS.runStep(() => act(id, reply.call), { name: 'tool' });
      }
    },
    { name: 'agent' },
  );
  const think = async (id, n) => {
    await hooks.model(id, n);
    return n < steps ? { text: 'next', call: { id: `c${n}`, tool: 'echo', args: { n } } } : { text: 'done', call: null };
  };
  const act = async (id, call) => {
    await hooks.tool(id, call.args.n);
    return call.args;
  };
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, logLevel: 'error' });
  // What was under way in an earlier process of the same executor is taken up here, as documented.
  await DBOS.launch();
  return {
    start: async (id) => {
      const handle = await DBOS.startWorkflow(agent, { workflowID: id })();
      await handle.getResult();
      return id;
    },
    recover: async (ids) => {
      const results = await Promise.all(ids.map((id) => DBOS.retrieveWorkflow(id).getResult()));
      return { finished: results.filter((result) => result === 'done').length, waiting: 0 };
    },
    close: () => DBOS.shutdown(),
  };
}
