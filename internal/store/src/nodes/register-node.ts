import type { Queryable, Statement } from '../database.ts';
import { run } from '../database.ts';

const REGISTER_NODE: Statement = {
  name: 'register-node',
  text: 'INSERT INTO nodes (id, host, pid, version, roles) VALUES ($1, $2, $3, $4, $5)',
};

export async function registerNode(
  db: Queryable,
  node: { readonly id: string; readonly host: string; readonly pid: number; readonly version: string; readonly roles: readonly string[] },
): Promise<void> {
  await run(db, REGISTER_NODE, [node.id, node.host, node.pid, node.version, node.roles]);
}
