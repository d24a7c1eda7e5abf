import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { build } from 'vite';

describe('the client', () => {
  test('is a bundle for a browser: nothing of Node, nothing but web standards, and small', async () => {
    const asked: string[] = [];
    const result = await build({
      configFile: false,
      logLevel: 'silent',
      resolve: { conditions: ['@openeaap/source'] },
      build: { write: false, minify: true, lib: { entry: path.join(import.meta.dirname, 'index.ts'), formats: ['es'], fileName: 'client' } },
      plugins: [{ name: 'watch', resolveId: { order: 'pre', handler: (id) => void asked.push(id) } }],
    });
    const [output] = Array.isArray(result) ? result : [result];
    if (output === undefined || !('output' in output)) throw new Error('nothing was built');
    const { code, imports, dynamicImports } = output.output[0];
    expect(asked).toContain('eventsource-parser');
    expect(asked.filter((id) => id.startsWith('node:') || id.startsWith('@openeaap/') || /^(fs|path|http|https|crypto|stream|events|buffer|process)$/.test(id))).toEqual([]);
    expect([...imports, ...dynamicImports]).toEqual([]);
    expect(code).not.toMatch(/\b(?:require\(|process\.|Buffer\b|__dirname)/);
    expect(code.length).toBeLessThan(40_000);
  });
});
