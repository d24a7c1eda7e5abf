// Mastra workflows on the built-in ("default") execution engine: `dountil` over a nested workflow of two steps, with the
// PostgreSQL store. The engine runs in the process and writes its snapshot after each step.
import { Mastra } from '@mastra/core';
import { createStep, createWorkflow } from '@mastra/core/workflows';
import { PostgresStore } from '@mastra/pg';
import { z } from 'zod';

export async function open({ url, steps, hooks }) {
  const storage = new PostgresStore({ id: 'bench', connectionString: url });
  const mastra = new Mastra({ storage, workflows: { agent: createAgent(steps, hooks) }, logger: false });
  await storage.init();
  const workflow = mastra.getWorkflow('agent');
  return {
    start: async (id) => {
      const run = await workflow.createRun({ runId: id });
      const result = await run.start({ inputData: { run: id, n: 0 } });
      if (result.status !== 'success') throw new Error(`Mastra ended a run as ${result.status}: ${result.error?.message ?? ''}`);
      return id;
    },
    // "Restarting active workflow runs": what `mastra dev` does when it starts, and the documentation offers to anybody else.
    recover: async (ids) => {
      await workflow.restartAllActiveWorkflowRuns();
      return waitUntilSettled(workflow, ids);
    },
    close: () => storage.close(),
  };
}

function createAgent(steps, hooks) {
  const turn = z.object({ run: z.string(), n: z.number() });
  const call = z.object({ id: z.string(), tool: z.string(), args: z.object({ n: z.number() }) });
  const think = createStep({
    id: 'think',
    inputSchema: turn,
    outputSchema: turn.extend({ text: z.string(), call }),
    execute: async ({ inputData: { run, n } }) => {
      await hooks.model(run, n);
      return { run, n, text: 'next', call: { id: `c${n}`, tool: 'echo', args: { n } } };
    },
  });
  const act = createStep({
    id: 'act',
    inputSchema: think.outputSchema,
    outputSchema: turn,
    execute: async ({ inputData: { run, n, call: wanted } }) => {
      await hooks.tool(run, wanted.args.n);
      return { run, n: n + 1 };
    },
  });
  const finish = createStep({
    id: 'finish',
    inputSchema: turn,
    outputSchema: turn.extend({ text: z.string() }),
    execute: async ({ inputData: { run, n } }) => {
      await hooks.model(run, n);
      return { run, n, text: 'done' };
    },
  });
  const step = createWorkflow({ id: 'step', inputSchema: turn, outputSchema: turn }).then(think).then(act).commit();
  return createWorkflow({ id: 'agent', inputSchema: turn, outputSchema: finish.outputSchema })
    .dountil(step, async ({ inputData: { n } }) => n >= steps)
    .then(finish)
    .commit();
}

/** A restart runs in the background of the process. */
async function waitUntilSettled(workflow, ids) {
  const over = new Set(['success', 'failed', 'canceled', 'suspended', 'tripwire']);
  for (;;) {
    const runs = await Promise.all(ids.map((id) => workflow.getWorkflowRunById(id)));
    const settled = runs.map((run) => run?.status ?? 'lost');
    if (settled.every((status) => over.has(status) || status === 'lost')) return { finished: settled.filter((status) => status === 'success').length, waiting: 0 };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
