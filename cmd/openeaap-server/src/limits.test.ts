import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parseLimits } from './limits.ts';
import { parseYaml } from './read-yaml.ts';

describe('limits.yaml', () => {
  test('the file that ships, an empty one and a missing one set no limits', async () => {
    const shipped = parseYaml(await readFile(new URL('../../../configs/limits.yaml', import.meta.url), 'utf8'), 'limits.yaml');
    for (const document of [shipped, {}, null, { concurrency: null }]) expect(parseLimits(document, 'limits.yaml')).toEqual({ default: null, tenants: {} });
  });

  test('limits of all and of some', () => {
    expect(parseLimits({ concurrency: { default: 100, tenants: { acme: 5 } } }, 'limits.yaml')).toEqual({ default: 100, tenants: { acme: 5 } });
  });

  test.each([
    [[], /limits\.yaml: the file must be a mapping/],
    [{ concurency: {} }, /unknown key "concurency"; it takes concurrency/],
    [{ concurrency: { max: 1 } }, /unknown key "max"; it takes default and tenants/],
    [{ concurrency: { default: 0 } }, /concurrency\.default must be a whole number from 1 on, not 0/],
    [{ concurrency: { tenants: { acme: '5' } } }, /concurrency\.tenants\.acme must be a whole number from 1 on, not "5"/],
    [{ concurrency: { tenants: 5 } }, /concurrency\.tenants must be a mapping/],
  ])('%j is refused and the key is named', (document, message) => {
    expect(() => parseLimits(document, 'limits.yaml')).toThrow(message);
  });
});
