import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentConfiguration } from '@openeaap/kernel';
import { AGENT_DEFAULTS, randomIds } from '@openeaap/kernel';
import type { TestDatabase } from '../testing/test-database.ts';
import { createTestDatabase } from '../testing/test-database.ts';
import { createAgent } from './create-agent.ts';
import { findAgent } from './find-agent.ts';
import { listAgents } from './list-agents.ts';
import { setAgentStatus } from './set-agent-status.ts';

let database: TestDatabase;
let db: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  db = new Pool({ connectionString: database.url, max: 8 });
});
afterAll(async () => {
  await db.end();
  await database.drop();
});

const create = (name: string, version: string, configuration: Partial<AgentConfiguration> = {}, tenantId = 't') =>
  createAgent(db, { tenantId, id: randomIds.newId(), name, version, configuration: { ...AGENT_DEFAULTS, ...configuration } });

describe('agents', () => {
  test('a version is immutable: the same again is unchanged, another configuration differs and changes nothing', async () => {
    expect(await create('a', '1.0.0')).toMatchObject({ kind: 'created', agent: { status: 'draft', current: false } });
    expect(await create('a', '1.0.0')).toMatchObject({ kind: 'unchanged' });
    expect(await create('a', '1.0.0', { systemPrompt: 'other' })).toMatchObject({ kind: 'differs', agent: { configuration: { systemPrompt: '' } } });
    expect(await create('a', '1.0.0', {}, 'other-tenant')).toMatchObject({ kind: 'created' });
  });

  test('of many who create one version at once one does, and all get the same', async () => {
    const results = await Promise.all(Array.from({ length: 16 }, () => create('race', '1.0.0')));
    expect(results.filter(({ kind }) => kind === 'created')).toHaveLength(1);
    expect(new Set(results.map(({ agent }) => agent.id)).size).toBe(1);
  });

  test('the current version is the published one that was published last, so publishing an older one is the rollback', async () => {
    const one = (await create('b', '1.0.0')).agent.id;
    const two = (await create('b', '2.0.0')).agent.id;
    expect(await findAgent(db, 't', { name: 'b' })).toBeNull();
    await setAgentStatus(db, 't', one, 'published');
    await setAgentStatus(db, 't', two, 'published');
    expect(await findAgent(db, 't', { name: 'b' })).toMatchObject({ version: '2.0.0', current: true });
    await setAgentStatus(db, 't', one, 'published');
    expect(await findAgent(db, 't', { name: 'b' })).toMatchObject({ version: '1.0.0', current: true });
    await setAgentStatus(db, 't', one, 'deprecated');
    expect(await findAgent(db, 't', { name: 'b' })).toMatchObject({ version: '2.0.0', current: true });
    expect(await findAgent(db, 't', { name: 'b', version: '1.0.0' })).toMatchObject({ status: 'deprecated', current: false });
    expect(await findAgent(db, 't', { id: one })).toMatchObject({ version: '1.0.0' });
    expect(await findAgent(db, 'other', { id: one })).toBeNull();
    expect(await setAgentStatus(db, 'other', one, 'published')).toBe(false);
  });

  test('lists are newest first, by tenant, name and status, in pages', async () => {
    for (const version of ['1.0.0', '2.0.0', '3.0.0']) await create('c', version);
    const [newest, ...older] = await listAgents(db, { tenantId: 't', name: 'c', limit: 10 });
    expect([newest, ...older].map((agent) => agent?.version)).toEqual(['3.0.0', '2.0.0', '1.0.0']);
    expect((await listAgents(db, { tenantId: 't', name: 'c', before: newest?.id, limit: 1 })).map(({ version }) => version)).toEqual(['2.0.0']);
    expect(await listAgents(db, { tenantId: 't', name: 'c', status: 'published', limit: 10 })).toEqual([]);
    expect(await listAgents(db, { tenantId: 'none', limit: 10 })).toEqual([]);
  });
});
