/* oxlint-disable unicorn/prefer-add-event-listener -- transports of the SDK are no event targets */
import type { EndedTransport } from './ended-transport.ts';
import { MCP_LIMITS } from './mcp-config.ts';

/** Answers are bounded by what we ask; what a server sends unasked is not. To be set before the client connects. */
export function limitUnasked(transport: EndedTransport): void {
  let count = 0;
  let windowEndsAt = 0;
  transport.onmessage = (message) => {
    if (!('method' in message)) return;
    const now = performance.now();
    if (now > windowEndsAt) {
      count = 0;
      windowEndsAt = now + MCP_LIMITS.unaskedWindowMs;
    }
    count += 1;
    if (count === MCP_LIMITS.unaskedMessages) transport.giveUp(`it sent ${count} messages that nobody asked for within ${MCP_LIMITS.unaskedWindowMs} ms`);
  };
}
