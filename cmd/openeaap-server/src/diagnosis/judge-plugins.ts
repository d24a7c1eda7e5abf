import type { PluginStatus } from '@openeaap/registry';
import type { Check } from './check.ts';
import { ok, problem, warning } from './check.ts';

/** Of the node that answers: each node has copies of its own. A plugin that serves with fewer copies is a warning. */
export function judgePlugins(plugins: readonly PluginStatus[]): Check {
  const tell = (list: readonly PluginStatus[]): string => list.map(({ name, status, detail }) => `${name} is ${status}: ${detail}`).join(' | ');
  const dead = plugins.filter(({ copies }) => copies.ready === 0);
  if (dead.length > 0) return problem('plugins', tell(dead), 'Their tools and agents get no steps until they are back. See: openeaap plugin show NAME, the log of the node, and docs/plugins.md.');
  const weak = plugins.filter(({ status }) => status !== 'ready');
  if (weak.length > 0) return warning('plugins', tell(weak), 'It serves with fewer copies than it should. See: openeaap plugin show NAME.');
  const warned = plugins.filter(({ warnings }) => warnings.length > 0);
  if (warned.length > 0) return warning('plugins', warned.map(({ name, warnings }) => `${name}: ${warnings.join(' ')}`).join(' | '), 'Grant or set the secret, or read the tool and accept it: openeaap plugin accept NAME.');
  return ok('plugins', `${plugins.length} serve on this node`);
}
