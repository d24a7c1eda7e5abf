// One keep-alive connection of the load generator, on a bare socket: a client with pools, headers in objects and streams
// would cost more than the gateways that it is to measure. One request at a time; reads answers with a length and in chunks.
import net from 'node:net';

const HEAD_BYTES_MAX = 65_536;
const SILENCE_LIMIT_MS = 60_000;
const READ_BYTES = 65_536;

/**
 * `ask(buffers, onData)` sends a whole request, head and body, and resolves to `{ status, bytes, problem, body }`.
 * `onData(text)` gets what is in the body as it comes (latin1: numbers and markers are ASCII). `problem` is null or a
 * sentence; after one, the connection is made anew at the next request. Never rejects.
 */
export function openConnection({ host, port }) {
  let socket = null;
  let parser = null;
  let settle = null;

  const finish = (answer) => {
    const done = settle;
    settle = null;
    parser = null;
    if (answer.problem !== null || answer.mustClose) drop();
    done?.(answer);
  };
  const drop = () => {
    socket?.destroy();
    socket = null;
  };
  const onBytes = (length, buffer) => {
    if (parser === null) return drop();
    const answer = parser.read(buffer, length);
    if (answer !== null) finish(answer);
    return true;
  };
  const connect = () => {
    const opened = net.connect({ host, port, noDelay: true, onread: { buffer: Buffer.allocUnsafe(READ_BYTES), callback: onBytes } });
    const lost = (problem) => () => {
      if (socket !== opened) return;
      socket = null;
      if (settle !== null) finish(parser?.atEnd() ?? { status: 0, bytes: 0, body: '', mustClose: true, problem });
    };
    opened.on('error', (error) => lost(`the connection failed: ${error.message}`)());
    opened.on('close', lost('the connection was closed in the middle of an answer'));
    opened.setTimeout(SILENCE_LIMIT_MS, () => opened.destroy(new Error(`silent for ${SILENCE_LIMIT_MS / 1_000} s`)));
    return opened;
  };
  return {
    ask: (buffers, onData = null) =>
      new Promise((resolve) => {
        settle = resolve;
        parser = createAnswerParser(onData);
        socket ??= connect();
        socket.cork();
        for (const buffer of buffers) socket.write(buffer);
        socket.uncork();
      }),
    close: drop,
  };
}

/** `read` returns the answer when it is whole, else null. */
function createAnswerParser(onData) {
  let head = null;
  let early = '';
  let left = 0;
  let isChunked = false;
  let untilClose = false;
  let rest = '';
  let sample = '';
  let bytes = 0;
  let status = 0;
  let mustClose = false;

  const whole = (problem = null) => ({ status, bytes, body: sample, mustClose, problem });
  const take = (text) => {
    bytes += text.length;
    if (sample.length < 400) sample += text.slice(0, 400);
    onData?.(text);
  };
  /** In chunks: size, CRLF, data, CRLF. What is cut waits in `rest`. */
  const readChunks = (text) => {
    let at = 0;
    const all = rest + text;
    rest = '';
    for (;;) {
      if (left > 0) {
        const part = all.slice(at, at + left);
        // The CRLF after the data is counted in `left`, and is not data.
        const data = part.slice(0, Math.max(0, left - 2));
        if (data.length > 0) take(data);
        left -= part.length;
        at += part.length;
        if (left > 0) return null;
      }
      const line = all.indexOf('\r\n', at);
      if (line < 0) {
        rest = all.slice(at);
        return null;
      }
      const size = Number.parseInt(all.slice(at, line), 16);
      if (Number.isNaN(size)) return whole('a chunk without a size');
      if (size === 0) {
        if (all.length < line + 4) {
          rest = all.slice(at);
          return null;
        }
        return whole();
      }
      at = line + 2;
      left = size + 2;
    }
  };
  const readBody = (text) => {
    if (isChunked) return readChunks(text);
    if (text.length > 0) take(text);
    if (untilClose) return null;
    left -= text.length;
    return left <= 0 ? whole() : null;
  };
  return {
    read: (buffer, length) => {
      const text = buffer.latin1Slice(0, length);
      if (head !== null) return readBody(text);
      early += text;
      const end = early.indexOf('\r\n\r\n');
      if (end < 0) return early.length > HEAD_BYTES_MAX ? whole('an answer without an end of its head') : null;
      head = early.slice(0, end).toLowerCase();
      status = Number(head.slice(9, 12));
      isChunked = head.includes('transfer-encoding: chunked');
      const declared = /\ncontent-length: *(\d+)/.exec(head);
      untilClose = !isChunked && declared === null;
      mustClose = untilClose || head.includes('\nconnection: close');
      left = isChunked || declared === null ? 0 : Number(declared[1]);
      return readBody(early.slice(end + 4));
    },
    /** The other end has closed: the end of an answer without a length, and a broken one otherwise. */
    atEnd: () => (head !== null && untilClose ? whole() : whole('the connection was closed in the middle of an answer')),
  };
}
