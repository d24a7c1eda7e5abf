import ipaddr from 'ipaddr.js';

/** A range of addresses, both ends included. IPv4 written inside IPv6 (`::ffff:10.0.0.1`) is IPv4. */
export interface IpRange {
  readonly bits: 32 | 128;
  readonly first: bigint;
  readonly last: bigint;
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/;

/**
 * An address or a CIDR block; null when `text` is neither. Strict on purpose: forms that programs read
 * differently (octal `010.0.0.1`, `0x7f.1`, zones) are no addresses, so that no rule is passed by spelling.
 * A block's host bits may be set; the block around them counts.
 */
export function parseIpRange(text: string): IpRange | null {
  if (text.length > 64) return null;
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const prefixText = slash < 0 ? null : text.slice(slash + 1);
  if (prefixText !== null && !/^(?:0|[1-9]\d{0,2})$/.test(prefixText)) return null;
  const bytes = parseBytes(address);
  if (bytes === null) return null;
  const written: 32 | 128 = address.includes(':') ? 128 : 32;
  const prefix = prefixText === null ? written : Number(prefixText);
  if (prefix > written) return null;
  return toRange(bytes, written, prefix);
}

export function contains(outer: IpRange, inner: IpRange): boolean {
  return outer.bits === inner.bits && outer.first <= inner.first && inner.last <= outer.last;
}

export function overlaps(a: IpRange, b: IpRange): boolean {
  return a.bits === b.bits && a.first <= b.last && b.first <= a.last;
}

function parseBytes(address: string): readonly number[] | null {
  if (IPV4.test(address)) return address.split('.').map(Number);
  if (!/^[0-9A-Fa-f:.]{2,45}$/.test(address) || !ipaddr.IPv6.isValid(address)) return null;
  const embedded = address.slice(address.lastIndexOf(':') + 1);
  if (embedded.includes('.') && !IPV4.test(embedded)) return null;
  return ipaddr.IPv6.parse(address).toByteArray();
}

const MAPPED_PREFIX = 0xffffn << 32n;

function toRange(bytes: readonly number[], bits: 32 | 128, prefix: number): IpRange {
  const value = bytes.reduce((total, byte) => (total << 8n) | BigInt(byte), 0n);
  const hostBits = BigInt(bits - prefix);
  const first = (value >> hostBits) << hostBits;
  const last = first | ((1n << hostBits) - 1n);
  const isMapped = bits === 128 && prefix >= 96 && first >> 32n === MAPPED_PREFIX >> 32n;
  if (!isMapped) return { bits, first, last };
  return { bits: 32, first: first - MAPPED_PREFIX, last: last - MAPPED_PREFIX };
}
