/**
 * Bytes that are written one after the other, big-endian, as PostgreSQL's binary formats are. It grows by itself.
 * A writer is used once: when all is written, `bytes` gives it away.
 */
export interface ByteWriter {
  readonly byte: (value: number) => void;
  readonly int4: (value: number) => void;
  /** A whole number, as exact as a number can be. */
  readonly int8: (value: number) => void;
  readonly uuid: (value: string) => void;
  readonly text: (value: string) => void;
  /** With its length in bytes before it. */
  readonly sizedText: (value: string) => void;
  /** Room for a length that is not known yet; `endSized` fills it in with what was written since. */
  readonly beginSized: () => number;
  readonly endSized: (at: number) => void;
  readonly written: () => number;
  /** What was written from one place to another; without them, all. */
  readonly bytes: (from?: number, to?: number) => Buffer;
}

/** At most so many bytes of UTF-8 make one unit of a string. */
const BYTES_PER_UNIT = 3;
/** Up to here writing a string unit by unit is faster than the call that writes it whole. */
const SHORT_UNITS = 24;
const TWO_TO_32 = 4_294_967_296;

export function createByteWriter(expectedBytes: number): ByteWriter {
  let buffer = Buffer.allocUnsafeSlow(Math.max(64, expectedBytes));
  let at = 0;

  const reserve = (count: number): void => {
    if (at + count <= buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, at + count));
    buffer.copy(larger, 0, 0, at);
    buffer = larger;
  };
  const putInt4 = (value: number, place: number): void => {
    buffer[place] = value >>> 24;
    buffer[place + 1] = value >>> 16;
    buffer[place + 2] = value >>> 8;
    buffer[place + 3] = value;
  };
  const int4 = (value: number): void => {
    reserve(4);
    putInt4(value, at);
    at += 4;
  };
  const text = (value: string): void => {
    reserve(value.length * BYTES_PER_UNIT);
    if (value.length > SHORT_UNITS) {
      at += buffer.write(value, at);
      return;
    }
    for (let index = 0; index < value.length; index += 1) {
      const unit = value.charCodeAt(index);
      if (unit > 127) {
        at += buffer.write(value.slice(index), at);
        return;
      }
      buffer[at] = unit;
      at += 1;
    }
  };
  const beginSized = (): number => {
    reserve(4);
    at += 4;
    return at - 4;
  };
  const endSized = (place: number): void => putInt4(at - place - 4, place);

  return {
    byte: (value) => {
      reserve(1);
      buffer[at] = value;
      at += 1;
    },
    int4,
    int8: (value) => {
      const high = Math.floor(value / TWO_TO_32);
      int4(high);
      int4(value - high * TWO_TO_32);
    },
    uuid: (value) => {
      reserve(16);
      let digits = 0;
      let high = 0;
      for (let index = 0; index < value.length; index += 1) {
        const unit = value.charCodeAt(index);
        if (unit === DASH) continue;
        const digit = hexValue(unit);
        if (digits % 2 === 0) high = digit;
        else if (digits < 32) buffer[at + (digits >> 1)] = high * 16 + digit;
        digits += 1;
      }
      if (digits !== 32) throw new RangeError(`'${value}' is no UUID`);
      at += 16;
    },
    text,
    sizedText: (value) => {
      const place = beginSized();
      text(value);
      endSized(place);
    },
    beginSized,
    endSized,
    written: () => at,
    bytes: (from = 0, to = at) => buffer.subarray(from, to),
  };
}

const DASH = 45;

function hexValue(unit: number): number {
  if (unit >= 48 && unit <= 57) return unit - 48;
  const letter = unit | 32;
  if (letter >= 97 && letter <= 102) return letter - 87;
  throw new RangeError('a UUID has hexadecimal digits only');
}
