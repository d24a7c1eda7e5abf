import { describe, expect, it } from 'vitest';
import { createBackendSplitter, createFrontendSplitter, isEncryptionRequest, readBoundName, readParse, readQueryText, readRowCount, readTransactionState } from './wire-protocol.ts';

const typed = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const untyped = (code: number, body = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, body]);
};

const SSL = untyped(80_877_103);
const STARTUP = untyped(196_608, Buffer.from('user\0x\0\0'));
const PARSE = typed('P', Buffer.from('commit-runs\0UPDATE runs SET x = 1\0\0\0'));
const BIND = typed('B', Buffer.from('\0commit-runs\0\0\0\0\0\0\0'));
const SYNC = typed('S', Buffer.alloc(0));
const QUERY = typed('Q', Buffer.from('BEGIN\0'));

describe('the protocol as a client speaks it', () => {
  const stream = Buffer.concat([SSL, STARTUP, PARSE, BIND, SYNC, QUERY]);
  const whole = [SSL, STARTUP, PARSE, BIND, SYNC, QUERY];

  it.each([1, 2, 3, 5, 7, 11, 64, 10_000])('is cut into the same messages when it comes in packets of %i bytes', (size) => {
    const split = createFrontendSplitter();
    const messages = [];
    for (let from = 0; from < stream.length; from += size) messages.push(...split(stream.subarray(from, from + size)));
    expect(messages.map(({ bytes }) => bytes)).toEqual(whole);
    expect(messages.map(({ type }) => type)).toEqual(['', '', 'P', 'B', 'S', 'Q']);
    expect(messages.map(isEncryptionRequest)).toEqual([true, false, false, false, false, false]);
  });

  it('tells which statement is meant', () => {
    expect(readParse({ type: 'P', bytes: PARSE })).toEqual({ name: 'commit-runs', text: 'UPDATE runs SET x = 1' });
    expect(readBoundName({ type: 'B', bytes: BIND })).toBe('commit-runs');
    expect(readQueryText({ type: 'Q', bytes: QUERY })).toBe('BEGIN');
  });
});

describe('the protocol as a server speaks it', () => {
  it('tells rows and the state of the transaction', () => {
    const split = createBackendSplitter();
    const [complete, ready] = split(Buffer.concat([typed('C', Buffer.from('INSERT 0 3\0')), typed('Z', Buffer.from('T'))]));
    if (complete === undefined || ready === undefined) throw new Error('two messages were sent');
    expect(readRowCount(complete)).toBe(3);
    expect(readRowCount({ type: 'C', bytes: typed('C', Buffer.from('COMMIT\0')) })).toBe(0);
    expect(readTransactionState(ready)).toBe('T');
  });

  it('refuses a length that no server sends', () => {
    expect(() => createBackendSplitter()(Buffer.from('HTTP/1.1 400'))).toThrow('not the PostgreSQL protocol');
  });
});
