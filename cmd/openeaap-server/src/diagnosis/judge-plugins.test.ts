import { describe, expect, test } from 'vitest';
import type { PluginStatus } from '@openeaap/registry';
import { judgePlugins } from './judge-plugins.ts';

const plugin = (rest: Partial<PluginStatus> = {}): PluginStatus => ({
  name: 'p', version: '1', kind: 'tools', status: 'ready', detail: 'It is serving.', source: 'file', sdk: '', copies: { ready: 1, wanted: 1, restarts: 0 }, tools: [], agents: [], warnings: [], ...rest,
});

describe('plugins in the diagnosis', () => {
  test.each<[string, readonly PluginStatus[], object]>([
    ['all serve', [plugin()], { status: 'ok', summary: '1 serve on this node', cure: null }],
    ['one is down', [plugin(), plugin({ name: 'q', status: 'down', detail: 'It is gone.', copies: { ready: 0, wanted: 1, restarts: 3 } })], { status: 'problem', summary: 'q is down: It is gone.' }],
    ['one has a copy less', [plugin({ status: 'degraded', copies: { ready: 1, wanted: 2, restarts: 3 } })], { status: 'warning' }],
    ['a secret is missing', [plugin({ warnings: ['The secret K is not set on this node.'] })], { status: 'warning', summary: 'p: The secret K is not set on this node.' }],
  ])('%s', (_name, plugins, expected) => expect(judgePlugins(plugins)).toMatchObject({ name: 'plugins', ...expected }));
});
