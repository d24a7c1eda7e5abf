import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { buildOpenApi, renderOpenApi } from './openapi.ts';

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly object[];
}

const load = async (): Promise<Document> => (await buildOpenApi()) as Document;

it('is what is committed in api/openapi/openapi.json', async () => {
  const committed = await readFile(new URL('../../../api/openapi/openapi.json', import.meta.url), 'utf8').catch(() => '');
  expect(committed === (await renderOpenApi()), 'api/openapi/openapi.json is not what the routes say: run `node tools/openapi.mjs` and commit it').toBe(true);
});

it('is OpenAPI 3.1 in which every operation is named, described, tagged and says whether it needs a key', async () => {
  const { openapi, paths } = await load();
  expect(openapi).toBe('3.1.0');
  const operations = Object.entries(paths).flatMap(([path, methods]) => Object.values(methods).map((operation) => ({ path, ...operation })));
  for (const { path, operationId, summary, tags, security } of operations) {
    expect({ path, operationId, summary, tags: tags?.length, keys: security?.length }).toEqual({
      path,
      operationId: expect.any(String),
      summary: expect.any(String),
      tags: 1,
      keys: path.startsWith('/api/v1/') ? 2 : 0,
    });
  }
  const ids = operations.map((operation) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

it('refers only to components that it has, and shows the examples of the document', async () => {
  const document = await load();
  const text = JSON.stringify(document);
  const names = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]);
  expect(text.match(/"\$ref":/g)).toHaveLength(names.length);
  expect(names.filter((name) => name === undefined || !(name in document.components.schemas))).toEqual([]);
  expect(text).toContain('分析 IP 1.2.3.4 的威胁等级');
  expect(text).toContain('不应该直接建议封禁，应该建议先隔离观察。');
});
