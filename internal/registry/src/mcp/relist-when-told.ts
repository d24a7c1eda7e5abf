import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { MCP_LIMITS } from './mcp-config.ts';

/** One listing at a time, and not more often than the limit, however often the server says that something has changed. */
export function relistWhenTold(client: Client, stop: AbortSignal, relist: () => Promise<void>): void {
  let isWanted = false;
  let isUnderWay = false;
  const run = async (): Promise<void> => {
    isUnderWay = true;
    while (isWanted && !stop.aborted) {
      isWanted = false;
      const begunAt = performance.now();
      await relist();
      // Compiling hundreds of new schemas takes a second: what a server makes us do stays a small part of our time.
      await pause(Math.max(MCP_LIMITS.relistIntervalMs, 10 * (performance.now() - begunAt)), stop);
    }
    isUnderWay = false;
  };
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
    isWanted = true;
    if (!isUnderWay) void run();
  });
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener('abort', done);
    if (stop.aborted) done();
  });
}
