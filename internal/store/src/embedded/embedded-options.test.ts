import { describe, expect, test } from 'vitest';
import { toTotalOptions } from './embedded-options.ts';
import { toServerArguments } from './server-settings.ts';

describe('the options of the embedded server', () => {
  test.each(['fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'unix_socket_permissions', 'data_directory'])('do not let the caller set %s', (name) => {
    expect(() => toTotalOptions({ dataDir: '/x', extraSettings: { [name]: 'off' } })).toThrow(expect.objectContaining({ code: 'invalid_input' }));
  });

  test.each(['', 'a b', 'work_mem=1', '-c', 'Fsync'])('refuse %j as the name of a setting', (name) => {
    expect(() => toTotalOptions({ dataDir: '/x', extraSettings: { [name]: '1' } })).toThrow(expect.objectContaining({ code: 'invalid_input' }));
  });

  test('refuse a state folder without a name', () => {
    expect(() => toTotalOptions({ dataDir: '' })).toThrow(expect.objectContaining({ code: 'invalid_input' }));
  });

  test('keep durability on and every TCP port closed, and let extra settings win over the modest ones', () => {
    const args = toServerArguments(toTotalOptions({ dataDir: '/x', extraSettings: { work_mem: '8MB', max_connections: '10' } }), '/x/data', '/tmp/s');
    expect(args).toEqual(expect.arrayContaining(['fsync=on', 'synchronous_commit=on', 'full_page_writes=on', 'listen_addresses=', 'work_mem=8MB', 'max_connections=10']));
    expect(args.filter((arg) => arg.startsWith('max_connections='))).toHaveLength(1);
  });
});
