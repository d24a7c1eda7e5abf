import { expect, test } from 'vitest';
import { readEventStream } from './event-stream.ts';

function bodyOf(chunks: readonly string[], end: boolean): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      if (end) controller.close();
    },
  });
}

async function collect(body: ReadableStream<Uint8Array>, idleMs: number): Promise<readonly unknown[]> {
  const all: unknown[] = [];
  for await (const message of readEventStream(body, idleMs)) all.push(message);
  return all;
}

test('messages come whole however the bytes are cut', async () => {
  const text = 'retry: 2000\n\n: hb\n\nid: 1\nevent: step_thought\ndata: {"content":"高危"}\n\n';
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  expect(await collect(body, 1_000)).toEqual([{ id: '1', event: 'step_thought', data: '{"content":"高危"}' }]);
});

test('an unfinished message at the end of a cut stream is not taken', async () => {
  expect(await collect(bodyOf(['id: 1\nevent: x\ndata: {'], true), 1_000)).toEqual([]);
});

test('silence beyond the heartbeat is a dead connection', async () => {
  await expect(collect(bodyOf([': hb\n\n'], false), 20)).rejects.toMatchObject({ code: 'unreachable' });
});
