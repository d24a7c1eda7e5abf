/** 32-bit floats, the lowest byte first, on every machine. */
export function toBytes(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((number, at) => bytes.writeFloatLE(number, at * 4));
  return bytes;
}

export function fromBytes(bytes: Buffer): Float32Array {
  return Float32Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => bytes.readFloatLE(at * 4));
}

/** A bit for each number, as PostgreSQL writes bit strings. */
export function signsOf(vector: Float32Array): string {
  return Array.from(vector, (number) => (number > 0 ? '1' : '0')).join('');
}
