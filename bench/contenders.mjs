// Who is measured, and how each is seen to have done the work: by counting what it has made durable.
// `records` counts the durable records of steps in the engine's own store; `perRun` says how many a run of n steps must add
// (a run is n + 1 model calls and n tool calls). `minimum` is for stores that overwrite: then the writes are counted.
const OURS = { file: 'openeaap.mjs', group: 'openeaap', packages: [], records: 'SELECT count(*) FROM run_steps', perRun: (n) => 2 * n + 1 };
const LANGGRAPH = {
  file: 'langgraph.mjs',
  group: 'langgraph',
  packages: ['@langchain/langgraph', '@langchain/langgraph-checkpoint-postgres'],
  // The input, the start and one after each node.
  records: 'SELECT count(*) FROM checkpoints',
  perRun: (n) => 2 * n + 3,
};

export const CONTENDERS = [
  { ...OURS, key: 'openeaap', label: 'OpenEAAP', options: { effect: 'read' } },
  { ...OURS, key: 'openeaap-destructive', label: 'OpenEAAP, destructive tool', options: { effect: 'destructive' } },
  { ...LANGGRAPH, key: 'langgraph-sync', label: 'LangGraph.js, durability sync', options: { durability: 'sync' } },
  { ...LANGGRAPH, key: 'langgraph-async', label: 'LangGraph.js, durability async', options: { durability: 'async' } },
  {
    key: 'dbos',
    group: 'dbos',
    label: 'DBOS Transact',
    file: 'dbos.mjs',
    options: {},
    packages: ['@dbos-inc/dbos-sdk'],
    records: 'SELECT count(*) FROM dbos.operation_outputs',
    perRun: (n) => 2 * n + 1,
  },
  {
    key: 'mastra',
    group: 'mastra',
    label: 'Mastra, default engine',
    file: 'mastra.mjs',
    options: {},
    packages: ['@mastra/core', '@mastra/pg'],
    records: `SELECT coalesce(sum(n_tup_ins + n_tup_upd), 0) FROM pg_stat_user_tables WHERE relname = 'mastra_workflow_snapshot'`,
    minimum: true,
    perRun: (n) => 2 * n + 1,
  },
  {
    key: 'restate',
    group: 'restate',
    label: 'Restate (its own store)',
    file: 'restate.mjs',
    options: {},
    packages: ['@restatedev/restate-server', '@restatedev/restate-sdk'],
    ownStore: true,
    records: `SELECT count(*) AS n FROM sys_journal WHERE entry_type = 'Notification: Run'`,
    perRun: (n) => 2 * n + 1,
  },
];

/** `wanted`: groups or keys; undefined: everybody. Ours is always there: the ratios are to it. */
export function chooseContenders(wanted) {
  if (wanted === undefined) return CONTENDERS;
  const unknown = wanted.filter((name) => !CONTENDERS.some(({ key, group }) => key === name || group === name));
  if (unknown.length > 0) throw new Error(`--peers: there is no "${unknown[0]}". There are ${[...new Set(CONTENDERS.map(({ group }) => group))].join(', ')}.`);
  return CONTENDERS.filter(({ key, group }) => group === 'openeaap' || wanted.includes(key) || wanted.includes(group));
}
