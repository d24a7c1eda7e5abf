import { describe, expect, it } from 'vitest';
import { contains, overlaps, parseIpRange } from './cidr.ts';

function range(text: string): NonNullable<ReturnType<typeof parseIpRange>> {
  const parsed = parseIpRange(text);
  if (parsed === null) throw new Error(`${text} is no range`);
  return parsed;
}

describe('address ranges', () => {
  it.each(['010.0.0.1', '0x7f.1', '1.2.3', '127.1', '1.2.3.4/33', '1.2.3.4/', '1.2.3.4/08', '256.1.1.1', '::1/129', 'fe80::1%eth0', '::ffff:010.0.0.1', '', 'localhost', '1.2.3.4 ', '１.2.3.4', 'x'.repeat(100)])(
    'refuses %j, which programs read differently or not at all',
    (text) => {
      expect(parseIpRange(text)).toBeNull();
    },
  );

  it.each([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.0/8', '10.0.0.0/9', true],
    ['10.0.0.0/8', '10.0.0.0/7', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['10.0.0.0/8', '::ffff:10.0.0.1', true],
    ['::ffff:0:0/96', '10.0.0.1', true],
    ['fc00::/7', 'fd12:3456::1', true],
    ['::/0', '10.0.0.1', false],
    ['10.9.9.9/8', '10.0.0.1', true],
  ])('%s contains %s: %s', (outer, inner, expected) => {
    expect(contains(range(outer), range(inner))).toBe(expected);
  });

  it('a wide block overlaps what lies in it', () => {
    expect(overlaps(range('10.0.0.0/8'), range('0.0.0.0/0'))).toBe(true);
    expect(overlaps(range('10.0.0.0/8'), range('11.0.0.0/8'))).toBe(false);
    expect(overlaps(range('10.0.0.0/8'), range('::/0'))).toBe(false);
  });
});
