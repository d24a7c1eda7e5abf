/**
 * Just enough of PostgreSQL's frontend/backend protocol 3 to know where a message begins and ends and
 * which statement it is about. https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export interface Message {
  /** The type byte; '' for the packets before it exists (startup, SSL request). */
  readonly type: string;
  /** The whole message as it came, type and length included. */
  readonly bytes: Buffer;
}

/** Cuts a stream of bytes, however it was packed, into whole messages. */
export type Splitter = (chunk: Buffer) => readonly Message[];

/** Larger than anything that the platform sends: a length beyond it is a stream that was read wrongly. */
const MESSAGE_LIMIT_BYTES = 64 * 1_048_576;
const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

/** Messages of a client: it begins with untyped packets, and goes on with typed ones after the startup packet. */
export function createFrontendSplitter(): Splitter {
  let isStarted = false;
  return createSplitter((rest) => {
    if (isStarted) return typedLength(rest);
    if (rest.length < 4 || rest.length < rest.readUInt32BE(0)) return null;
    const bytes = rest.readUInt32BE(0);
    isStarted = !isEncryptionRequest({ type: '', bytes: rest.subarray(0, bytes) });
    return { type: '', bytes };
  });
}

/** Messages of a server. */
export function createBackendSplitter(): Splitter {
  return createSplitter(typedLength);
}

/** The client asks whether it may encrypt; the answer is one byte, and the startup packet follows. */
export function isEncryptionRequest({ type, bytes }: Message): boolean {
  if (type !== '' || bytes.length !== 8) return false;
  const code = bytes.readUInt32BE(4);
  return code === SSL_REQUEST || code === GSS_REQUEST;
}

/** Parse ('P'): gives a text a name. */
export function readParse({ bytes }: Message): { readonly name: string; readonly text: string } {
  const [name, afterName] = readText(bytes, 5);
  const [text] = readText(bytes, afterName);
  return { name, text };
}

/** Bind ('B'): the name of the statement that it runs. */
export function readBoundName({ bytes }: Message): string {
  const [, afterPortal] = readText(bytes, 5);
  return readText(bytes, afterPortal)[0];
}

/** Query ('Q'): its text. */
export const readQueryText = ({ bytes }: Message): string => readText(bytes, 5)[0];

/** CommandComplete ('C'): rows that were read or changed; 0 for commands without rows. */
export function readRowCount({ bytes }: Message): number {
  const [tag] = readText(bytes, 5);
  return Number(/(\d+)$/.exec(tag)?.[1] ?? 0);
}

/** ReadyForQuery ('Z'): idle, in a transaction, or in one that has failed. */
export const readTransactionState = ({ bytes }: Message): 'I' | 'T' | 'E' => String.fromCharCode(bytes[5] ?? 0) as 'I' | 'T' | 'E';

interface Length {
  readonly type: string;
  /** Of the whole message. */
  readonly bytes: number;
}

function createSplitter(next: (rest: Buffer) => Length | null): Splitter {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const messages: Message[] = [];
    for (let length = next(rest); length !== null && rest.length >= length.bytes; length = next(rest)) {
      messages.push({ type: length.type, bytes: rest.subarray(0, length.bytes) });
      rest = rest.subarray(length.bytes);
    }
    return messages;
  };
}

function typedLength(rest: Buffer): Length | null {
  if (rest.length < 5) return null;
  const bytes = rest.readUInt32BE(1) + 1;
  if (bytes > MESSAGE_LIMIT_BYTES) throw new Error(`a message of ${bytes} bytes: this is not the PostgreSQL protocol`);
  return { type: String.fromCharCode(rest[0] ?? 0), bytes };
}

/** A zero-terminated text and where the next field begins. */
function readText(bytes: Buffer, from: number): readonly [string, number] {
  const end = bytes.indexOf(0, from);
  return [bytes.toString('utf8', from, end), end + 1];
}
