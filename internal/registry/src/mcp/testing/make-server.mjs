import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { CallToolRequestSchema, CreateMessageResultSchema, ElicitResultSchema, ErrorCode, ListRootsResultSchema, ListToolsRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js';

const object = (properties = {}, required = []) => ({ type: 'object', properties, required });
const text = (value) => ({ content: [{ type: 'text', text: value }] });

/** What a well-behaved server offers. Also the tools by which a test makes it misbehave. */
const TOOLS = [
  { name: 'echo', description: 'Returns its arguments.', inputSchema: { $schema: 'http://json-schema.org/draft-07/schema#', ...object({ text: { type: 'string' } }, ['text']), additionalProperties: false }, annotations: { readOnlyHint: true } },
  { name: 'repos/delete', description: 'Deletes.', inputSchema: object(), annotations: { destructiveHint: true, idempotentHint: true } },
  { name: 'mail.send', description: 'Sends.', inputSchema: object(), annotations: { destructiveHint: false, openWorldHint: true } },
  ...['structured', 'mixed', 'fail', 'hang', 'die', 'flood', 'large', 'env', 'meta', 'ask', 'cancelled', 'refuse', 'break', 'no-result', 'spam', 'change'].map((name) => ({ name, description: name, inputSchema: object() })),
];

/**
 * A server with the tools above. `bend` may change a listing before it is sent; `hooks` end the process or the
 * connection in the way that the transport knows.
 */
export function makeServer({ bend = (tools) => ({ tools }), hooks = {}, capabilities = { tools: { listChanged: true }, logging: {} }, version = '2.1.0' } = {}) {
  const server = new Server({ name: 'test-server', version }, { capabilities });
  const state = { cancelled: 0, changes: 0 };
  if (capabilities.tools === undefined) return server;
  server.setRequestHandler(ListToolsRequestSchema, (request) => bend(structuredClone(TOOLS), { page: request.params?.cursor, changes: state.changes }));
  server.setRequestHandler(CallToolRequestSchema, async (request, extra) => {
    const { name, arguments: args = {}, _meta: meta } = request.params;
    switch (name) {
      case 'echo':
        return text(args.text);
      case 'structured':
        return { ...text('not this'), structuredContent: { answer: 42 } };
      case 'mixed':
        return {
          content: [
            { type: 'text', text: '{"a":[1]}' },
            { type: 'text', text: '17' },
            { type: 'image', mimeType: 'image/png', data: Buffer.alloc(1_000).toString('base64') },
            { type: 'resource', resource: { uri: 'file:///small', mimeType: 'text/plain', text: 'small' } },
            { type: 'resource', resource: { uri: 'file:///large', text: 'x'.repeat(100_000) } },
            { type: 'resource_link', uri: 'file:///link', name: 'a link' },
          ],
        };
      case 'fail':
        return { ...text('the disk is full'), isError: true };
      case 'hang':
        if (extra.signal.aborted) state.cancelled += 1;
        extra.signal.addEventListener('abort', () => (state.cancelled += 1));
        return new Promise(() => undefined);
      case 'cancelled':
        return text(JSON.stringify({ cancelled: state.cancelled }));
      case 'die':
        hooks.die?.();
        return new Promise(() => undefined);
      case 'flood':
        hooks.flood?.();
        return new Promise(() => undefined);
      case 'large':
        return text('x'.repeat(4_194_304 + 100));
      case 'env':
        return text(JSON.stringify(process.env));
      case 'meta':
        return text(JSON.stringify(meta ?? null));
      case 'ask':
        return text(JSON.stringify(await Promise.all([
          said(extra.sendRequest({ method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } }, CreateMessageResultSchema)),
          said(extra.sendRequest({ method: 'elicitation/create', params: { message: 'your password', requestedSchema: object() } }, ElicitResultSchema)),
          said(extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema)),
        ])));
      case 'refuse':
        throw new McpError(ErrorCode.InvalidParams, 'no such repository');
      case 'break':
        throw new McpError(ErrorCode.InternalError, 'null pointer');
      case 'no-result':
        return { content: 'none' };
      case 'spam':
        for (let n = 0; n < 1_100; n += 1) await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data: n } });
        return text('spammed');
      case 'change':
        state.changes += 1;
        await server.sendToolListChanged();
        return text('changed');
      default:
        throw new McpError(ErrorCode.InvalidParams, `unknown tool ${name}`);
    }
  });
  return server;
}

const said = (asked) => asked.then(() => 'answered', (error) => error.code);
