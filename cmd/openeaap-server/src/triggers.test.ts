import { describe, expect, test } from 'vitest';
import { parseDirectory } from './directory.ts';
import { parseTriggers, toDedupKey } from './triggers.ts';

const trigger = { name: 'siem', agent: 'a', userId: 'u', dedupBy: ['id', 'alert_id'], priority: 'normal' as const };

describe('triggers', () => {
  test('the same alert is the same key, whatever else changed in it', () => {
    expect(toDedupKey(trigger, { id: 'A-1', seen: 1 })).toBe(toDedupKey(trigger, { seen: 2, id: 'A-1' }));
    expect(toDedupKey(trigger, { id: 'A-1' })).not.toBe(toDedupKey(trigger, { id: 'A-2' }));
    expect(toDedupKey(trigger, { id: 'A-1' })).not.toBe(toDedupKey(trigger, { alert_id: 'A-1' }));
  });

  test('an event without any of the fields is told apart by its whole body', () => {
    expect(toDedupKey(trigger, { a: 1, b: 2 })).toBe(toDedupKey(trigger, { b: 2, a: 1 }));
    expect(toDedupKey(trigger, { a: 1 })).not.toBe(toDedupKey(trigger, { a: 2 }));
  });

  test.each([
    [{ triggers: [{ name: 'x' }] }, /triggers\[0\]\.agent must be a text/],
    [{ triggers: [{ name: 'x', agent: 'a', user: 'u', dedup: [] }] }, /unknown key "dedup"/],
    [{ trigger: [] }, /list "triggers"/],
    [{ triggers: [{ name: 'x', agent: 'a', user: 'u', priority: 'asap' }] }, /triggers\[0\]\.priority must be one of low, normal, high, urgent/],
  ])('%j is refused and says where', (document, message) => {
    expect(() => parseTriggers(document, 'triggers.yaml')).toThrow(message);
  });

  test('a trigger may have a priority of its own', () => {
    const entry = { name: 'x', agent: 'a', user: 'u' };
    expect(parseTriggers({ triggers: [entry] }, 'triggers.yaml').get('x')?.priority).toBe('normal');
    expect(parseTriggers({ triggers: [{ ...entry, priority: 'urgent' }] }, 'triggers.yaml').get('x')?.priority).toBe('urgent');
  });

  test('no file is no trigger', () => {
    expect(parseTriggers(null, 'triggers.yaml').size).toBe(0);
  });
});

describe('directory', () => {
  test('users have groups and a clearance, the least when nothing is said', () => {
    expect(parseDirectory({ users: [{ id: 'alice', groups: ['g'], clearance: 3 }, { id: 'bob' }] }, 'directory.yaml', 't')).toEqual([
      { tenantId: 't', userId: 'alice', groups: ['g'], clearance: 3 },
      { tenantId: 't', userId: 'bob', groups: [], clearance: 1 },
    ]);
  });

  test.each([
    [{ users: [{ id: 'a', clearance: 4 }] }, /clearance must be 1 \(Public\)/],
    [{ users: [{ id: 'a', groups: 'g' }] }, /groups must be a list/],
    [{ users: [{ id: 'a', role: 'x' }] }, /unknown key "role"/],
    [{ users: [{}] }, /id must be a text/],
  ])('%j is refused and says where', (document, message) => {
    expect(() => parseDirectory(document, 'directory.yaml', 't')).toThrow(message);
  });
});
