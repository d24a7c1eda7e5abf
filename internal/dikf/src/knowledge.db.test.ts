import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Principal, Sensitivity } from '@openeaap/kernel';
import { createKnowledgeStore } from '@openeaap/store';
import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase } from '../../store/src/testing/test-database.ts';
import type { KnowledgeStore } from './index.ts';
import { createReadKnowledge, createRetrieve, ingestDocument, ingestFolder, toLineage } from './index.ts';

const SOPS = fileURLToPath(new URL('../../../demo/sops', import.meta.url));

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let pool: Pool;
let store: KnowledgeStore;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = new Pool({ connectionString: database.url, max: 4 });
  store = createKnowledgeStore(pool);
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

/** Every test has a tenant of its own. */
function tenant() {
  const tenantId = `t-${randomUUID()}`;
  const ports = { store, newId: randomUUID };
  const retrieve = createRetrieve(store);
  return {
    tenantId,
    ports,
    ingest: (source: string, text: string) => ingestDocument({ tenantId, source, text }, ports),
    search: (query: string, who: Principal = user(tenantId), topK = 5) => retrieve({ tenantId, principal: who, query, topK }),
    retrieve,
    read: createReadKnowledge(store),
  };
}

function user(tenantId: string, clearance: Sensitivity = 2, groups: readonly string[] = []): Principal {
  return { tenantId, userId: 'alice', groups, clearance };
}

const labelled = (sensitivity: string, group: string, body: string): string => `---\nsensitivity: ${sensitivity}\naccess_group: "${group}"\n---\n\n${body}\n`;

describe('the access rule', () => {
  test('never returns a confidential chunk to clearance 1 or 2, even as the best match', async () => {
    const { tenantId, ingest, search } = tenant();
    await ingest('secret.md', labelled('Confidential', '*', 'zebra zebra zebra plan'));
    await ingest('open.md', labelled('Public', '*', 'a zebra is an animal of the savanna'));
    const sources = async (clearance: Sensitivity) => (await search('zebra plan', user(tenantId, clearance))).chunks.map((chunk) => chunk.source);
    expect(await sources(1)).toEqual(['open.md']);
    expect(await sources(2)).toEqual(['open.md']);
    expect(await sources(3)).toEqual(['secret.md', 'open.md']);
  });

  test('returns a chunk of a group only to its members, whatever the clearance', async () => {
    const { tenantId, ingest, search } = tenant();
    await ingest('soc.md', labelled('Public', 'soc', 'zebra'));
    expect((await search('zebra', user(tenantId, 3))).chunks).toEqual([]);
    expect((await search('zebra', user(tenantId, 3, ['hr', '*', 'group:soc', 'so']))).chunks).toEqual([]);
    expect((await search('zebra', user(tenantId, 1, ['hr', 'soc']))).chunks).toHaveLength(1);
  });

  test('never crosses tenants', async () => {
    const one = tenant();
    const other = tenant();
    await one.ingest('a.md', labelled('Public', '*', 'zebra'));
    expect((await other.search('zebra')).chunks).toEqual([]);
    await expect(one.search('zebra', user(other.tenantId, 3))).rejects.toMatchObject({ code: 'permission_denied' });
  });

  test('shows nothing to a principal without a valid clearance', async () => {
    const { tenantId, ingest, search } = tenant();
    await ingest('a.md', labelled('Public', '*', 'zebra'));
    for (const clearance of [undefined, 0, 4, Number.NaN, '3']) {
      expect((await search('zebra', { ...user(tenantId), clearance: clearance as Sensitivity })).chunks).toEqual([]);
    }
  });

  test('gives the same answers and scores as if hidden text did not exist', async () => {
    const { tenantId, ingest, search } = tenant();
    await ingest('a.md', labelled('Public', '*', 'zebra crossing in the city'));
    await ingest('b.md', labelled('Public', '*', 'city map'));
    const before = await search('zebra city', user(tenantId, 1));
    for (let i = 0; i < 20; i++) await ingest(`hidden-${i}.md`, labelled('Confidential', '*', `zebra zebra number ${i} ${'word '.repeat(i * 10)}`));
    expect(await search('zebra city', user(tenantId, 1))).toEqual(before);
    expect(before).not.toHaveProperty('hidden');
  });

  test('counts hidden matches only when asked to', async () => {
    const { tenantId, ingest, retrieve } = tenant();
    await ingest('a.md', labelled('Confidential', '*', 'zebra'));
    await ingest('b.md', labelled('Public', 'soc', 'zebra'));
    await ingest('c.md', labelled('Public', '*', 'zebra'));
    const result = await retrieve({ tenantId, principal: user(tenantId), query: 'zebra', revealHiddenCount: true });
    expect(result).toMatchObject({ hidden: 2, chunks: [{ source: 'c.md' }] });
  });

  test('leaks nothing over random labels and principals, and hides nothing that may be seen', async () => {
    const { tenantId, ingest, search } = tenant();
    const groups = ['*', 'a', 'b', 'c'];
    const all = Array.from({ length: 36 }, (_, i) => ({ source: `${i}.md`, sensitivity: (i % 3) + 1, group: groups[i % 4] ?? '*' }));
    for (const { source, sensitivity, group } of all) await ingest(source, labelled(String(sensitivity), group, `zebra ${source}`));
    for (let mask = 0; mask < 8; mask++) {
      const mine = ['a', 'b', 'c'].filter((_, bit) => (mask >> bit) % 2 === 1);
      for (const clearance of [1, 2, 3] as const) {
        const found = (await search('zebra', user(tenantId, clearance, mine), 50)).chunks.map((chunk) => chunk.source).sort();
        const allowed = all.filter((d) => d.sensitivity <= clearance && (d.group === '*' || mine.includes(d.group))).map((d) => d.source);
        expect(found).toEqual(allowed.sort());
      }
    }
  });

  test('holds for lineage and for the list of documents', async () => {
    const { tenantId, ingest, search, read } = tenant();
    await ingest('secret.md', labelled('Confidential', '*', 'zebra'));
    await ingest('open.md', labelled('Public', '*', 'zebra'));
    const ids = (await search('zebra', user(tenantId, 3))).chunks.map((chunk) => chunk.chunkId);
    expect(await read.getChunks(tenantId, user(tenantId, 3), ids)).toHaveLength(2);
    expect((await read.getChunks(tenantId, user(tenantId, 1), ids)).map((chunk) => chunk.source)).toEqual(['open.md']);
    expect((await read.listDocuments({ tenantId, principal: user(tenantId, 1) })).map((d) => d.source)).toEqual(['open.md']);
    const page = await read.listDocuments({ tenantId, principal: user(tenantId, 3), limit: 1 });
    expect(page).toMatchObject([{ source: 'open.md', chunks: 1 }]);
    expect(await read.listDocuments({ tenantId, principal: user(tenantId, 3), after: 'open.md' })).toMatchObject([{ source: 'secret.md' }]);
    await expect(read.getChunks(tenantId, user(tenantId), ["1' OR true"])).rejects.toMatchObject({ code: 'invalid_input' });
  });
});

describe('re-ingest', () => {
  test('writes nothing when nothing changed', async () => {
    const { ingest } = tenant();
    expect(await ingest('a.md', '# A\n\none')).toMatchObject({ changed: true, addedChunks: 1 });
    expect(await ingest('a.md', '# A\n\none')).toMatchObject({ changed: false, keptChunks: 1, addedChunks: 0, retiredChunks: 0 });
  });

  test('keeps the ids of unchanged chunks, retires the others and never reuses an id', async () => {
    const { tenantId, ingest, search, read } = tenant();
    const idOf = async (word: string) => (await search(word)).chunks[0]?.chunkId;
    await ingest('a.md', '# A\n\nalpha\n\n# B\n\nbravo\n');
    const [alpha, bravo] = [await idOf('alpha'), await idOf('bravo')];
    expect(await ingest('a.md', '# Z\n\nnew\n\n# A\n\nalpha\n')).toMatchObject({ keptChunks: 1, addedChunks: 1, retiredChunks: 1 });
    expect(await idOf('alpha')).toBe(alpha);
    expect(await idOf('bravo')).toBeUndefined();
    expect(await read.getChunks(tenantId, user(tenantId), [String(bravo)])).toMatchObject([{ content: 'bravo', retiredAt: expect.any(Date) }]);
    await ingest('a.md', '# A\n\nalpha\n\n# B\n\nbravo\n');
    expect(await idOf('bravo')).toBe(bravo);
    await ingest('a.md', '# A\n\ncharlie\n');
    expect([alpha, bravo]).not.toContain(await idOf('charlie'));
  });

  test('keeps repeated text apart', async () => {
    const { ingest, search } = tenant();
    await ingest('a.md', '# A\n\nsame\n\n# B\n\nsame\n');
    const { chunks } = await search('same');
    expect(new Set(chunks.map((chunk) => chunk.chunkId)).size).toBe(2);
    expect(await ingest('a.md', '# A\n\nsame\n')).toMatchObject({ keptChunks: 1, retiredChunks: 1 });
  });

  test('moves every chunk to a new label, and retired text only upwards', async () => {
    const { tenantId, ingest, search, read } = tenant();
    await ingest('a.md', labelled('Confidential', 'soc', '# A\n\nalpha\n\n# B\n\nbravo'));
    const boss = user(tenantId, 3, ['soc']);
    const bravo = String((await search('bravo', boss)).chunks[0]?.chunkId);
    await ingest('a.md', labelled('Public', '*', '# A\n\nalpha'));
    expect((await search('alpha', user(tenantId, 1))).chunks).toHaveLength(1);
    expect(await read.getChunks(tenantId, user(tenantId, 1), [bravo])).toEqual([]);
    expect(await read.getChunks(tenantId, boss, [bravo])).toHaveLength(1);
    await ingest('a.md', labelled('Confidential', '*', '# A\n\nalpha'));
    expect((await search('alpha', user(tenantId, 1))).chunks).toEqual([]);
  });

  test('keeps the statistics equal to the live chunks through changes and races', async () => {
    const { tenantId, ingest } = tenant();
    const write = (i: number) => ingest(`${i % 3}.md`, labelled(String((i % 3) + 1), i % 2 === 0 ? '*' : 'soc', `# A\n\nalpha ${i}\n\n# B\n\nsame text`));
    await Promise.all(Array.from({ length: 12 }, (_, i) => write(i)));
    await store.retireMissingDocuments({ tenantId, prefix: '', sources: ['0.md', '1.md'] });
    const stored = 'SELECT access_group_id, sensitivity_level, chunks::int, total_length::int FROM knowledge_statistics WHERE tenant_id = $1 AND chunks <> 0 ORDER BY 1, 2';
    const counted =
      'SELECT access_group_id, sensitivity_level, count(*)::int AS chunks, sum(length)::int AS total_length FROM knowledge_chunks WHERE tenant_id = $1 AND retired_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2';
    expect((await pool.query(stored, [tenantId])).rows).toEqual((await pool.query(counted, [tenantId])).rows);
  });

  test('changes nothing when the write fails half way', async () => {
    const { tenantId, ingest, search } = tenant();
    await ingest('a.md', 'alpha');
    const failing = {
      tenantId,
      id: randomUUID(),
      source: 'a.md',
      title: 'a',
      sha256: 'f'.repeat(64),
      pipelineVersion: 1,
      language: '',
      tags: [],
      sensitivity: 1 as const,
      accessGroup: '*',
      chunks: [{ ordinal: 1, headingPath: [], content: 'new', contentSha256: 'e'.repeat(64), occurrence: 1, terms: new Map([['x'.repeat(200), 1]]), length: 1 }],
    };
    await expect(store.replaceDocument(failing)).rejects.toMatchObject({ code: 'internal' });
    expect((await search('alpha')).chunks).toHaveLength(1);
    expect((await search('new')).chunks).toEqual([]);
  });
});

describe('ingestFolder', () => {
  test('retires documents whose file is gone, keeps the last good version of a broken one, and reports it', async () => {
    const { tenantId, ports, search } = tenant();
    const dir = await mkdtemp(join(tmpdir(), 'openeaap-sops-'));
    const ingest = () => ingestFolder({ tenantId, dir, prefix: 'sops', retireMissing: true }, ports);
    try {
      await cp(SOPS, dir, { recursive: true });
      const first = await ingest();
      expect(first.errors).toEqual([]);
      expect(first.documents).toHaveLength(9);
      await rm(join(dir, 'ip-blocking.md'));
      await writeFile(join(dir, 'phishing-response.md'), '---\nsensitivty: Public\n---\nx');
      await writeFile(join(dir, 'latin1.md'), Buffer.from([0xe9, 0x20]));
      const second = await ingest();
      expect(second.retiredDocuments).toBe(1);
      expect(second.errors.map((error) => error.details['file'])).toEqual(['sops/latin1.md', 'sops/phishing-response.md']);
      expect(second.documents.every((document) => !document.changed)).toBe(true);
      expect((await search('封禁时长')).chunks.some((chunk) => chunk.source === 'sops/ip-blocking.md')).toBe(false);
      expect((await search('phishing email')).chunks[0]?.source).toBe('sops/phishing-response.md');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  test('says so when the folder is not there', async () => {
    const { tenantId, ports } = tenant();
    await expect(ingestFolder({ tenantId, dir: '/nowhere', prefix: 'x', retireMissing: false }, ports)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('relevance on the demo SOPs', () => {
  let soc: ReturnType<typeof tenant>;
  beforeAll(async () => {
    soc = tenant();
    await ingestFolder({ tenantId: soc.tenantId, dir: SOPS, prefix: 'sops', retireMissing: false }, soc.ports);
  });

  test.each([
    ['异常登录告警怎么研判', 'anomalous-login.md'],
    ['来源 IP 信誉分值多少算高风险', 'anomalous-login.md'],
    ['封禁 IP 要多长时间，谁来批准', 'ip-blocking.md'],
    ['防火墙封禁误伤业务如何回退', 'ip-blocking.md'],
    ['主机隔离前要检查什么', 'host-isolation.md'],
    ['值班经理电话', 'escalation-contacts.md'],
    ['purge a phishing email from all mailboxes', 'phishing-response.md'],
    ['how do I confirm C2 beaconing intervals', 'malware-beaconing.md'],
    ['leaked cloud access key rotation', 'credential-leak.md'],
    ['who to call for a P1 incident', 'escalation-contacts.md'],
  ])('%s → %s', async (query, expected) => {
    const { chunks } = await soc.search(query, user(soc.tenantId, 2, ['security-ops']));
    expect(chunks[0]?.source).toBe(`sops/${expected}`);
  });

  test('answers about executives only to their protection group', async () => {
    const ask = (who: Principal) => soc.search('高管账号异常登录', who).then(({ chunks }) => chunks.map((chunk) => chunk.source));
    expect(await ask(user(soc.tenantId, 3, ['security-ops']))).not.toContain('sops/executive-accounts.md');
    expect((await ask(user(soc.tenantId, 3, ['executive-protection'])))[0]).toBe('sops/executive-accounts.md');
  });

  test('gives lineage that names document and heading and resolves to the text', async () => {
    const principal = user(soc.tenantId, 2);
    const [first] = (await soc.search('封禁时长', principal)).chunks;
    if (first === undefined) throw new Error('nothing found');
    const lineage = toLineage(first);
    expect(lineage).toMatchObject({ source: 'sops/ip-blocking.md', title: 'IP 封禁操作规程 › 封禁时长', sensitivity: first.sensitivity });
    expect(await soc.read.getChunks(soc.tenantId, principal, [lineage.chunkId])).toMatchObject([{ content: first.content }]);
  });

  test('finds nothing for a query without words, and refuses a bad one', async () => {
    expect((await soc.search('？！')).chunks).toEqual([]);
    await expect(soc.search('x'.repeat(5_000))).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(soc.search('x', user(soc.tenantId), 51)).rejects.toMatchObject({ code: 'invalid_input' });
    expect((await soc.search("'; DROP TABLE knowledge_chunks; --")).chunks).toEqual(expect.any(Array));
  });
});
