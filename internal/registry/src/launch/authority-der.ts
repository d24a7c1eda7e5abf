/**
 * The few forms of DER (ITU-T X.690) that a certificate is made of. Writing them takes less code than the libraries for
 * it bring; reading and checking certificates is OpenSSL's, by node:crypto.
 */
const TAGS = { boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, utf8String: 0x0c, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30, set: 0x31 } as const;

export const sequence = (...parts: readonly Buffer[]): Buffer => encode(TAGS.sequence, Buffer.concat(parts));
export const set = (...parts: readonly Buffer[]): Buffer => encode(TAGS.set, Buffer.concat(parts));
export const boolean = (value: boolean): Buffer => encode(TAGS.boolean, Buffer.from([value ? 0xff : 0]));
/** A small number, or the bytes of a large one, which is positive and without leading zeros. */
export const integer = (value: number | Buffer): Buffer => encode(TAGS.integer, typeof value === 'number' ? Buffer.from([value]) : value);
export const octetString = (value: Buffer): Buffer => encode(TAGS.octetString, value);
export const utf8String = (value: string): Buffer => encode(TAGS.utf8String, Buffer.from(value, 'utf8'));
export const bitString = (value: Buffer, unusedBits: number): Buffer => encode(TAGS.bitString, Buffer.concat([Buffer.from([unusedBits]), value]));
export const context = (number: number, value: Buffer, form: 'primitive' | 'constructed' = 'primitive'): Buffer => encode((form === 'constructed' ? 0xa0 : 0x80) | number, value);

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return encode(TAGS.oid, Buffer.from([first * 40 + second, ...rest.flatMap((arc) => base128(arc))]));
}

/** Of milliseconds since 1970. Before 2050 a UTCTime, from then on a GeneralizedTime (RFC 5280, section 4.1.2.5). */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return digits < '2050' ? encode(TAGS.utcTime, Buffer.from(digits.slice(2), 'ascii')) : encode(TAGS.generalizedTime, Buffer.from(digits, 'ascii'));
}

function encode(tag: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, ...lengthOf(value.length)]), value]);
}

function lengthOf(length: number): readonly number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}

function base128(value: number): readonly number[] {
  const digits = [value & 0x7f];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}
