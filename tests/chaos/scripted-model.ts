import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { at, listAt } from '../e2e/harness/json.ts';
import type { Behaviour, ChatMessage } from '../e2e/harness/model-server.ts';
import { MODEL, answer, calls } from '../e2e/harness/model-server.ts';

/**
 * A model whose every answer follows from the conversation alone, so that a think that is thought
 * again after a crash proposes the same. The input is its script: `read 45.1.2.3; block 45.1.2.3`.
 */
export interface ScriptedModel {
  readonly env: Readonly<Record<string, string>>;
  /** Thinks that hang until their run is interrupted, because their script says `hang`; how many wait now. */
  readonly hanging: () => number;
  readonly close: () => Promise<void>;
}

/** What the model says when it has gone through its script. */
export const DONE = 'done';

const TOOLS: Readonly<Record<string, (subject: string) => { readonly name: string; readonly args: object }>> = {
  read: (ip) => ({ name: 'check_ip_reputation', args: { ip } }),
  block: (ip) => ({ name: 'firewall_block_ip', args: { ip, reason: 'scripted' } }),
  once: (ip) => ({ name: 'firewall_block_once', args: { ip, reason: 'scripted' } }),
  add: (number) => ({ name: 'calculator', args: { expression: `${number} + 1` } }),
};

export async function startScriptedModel(delayMs: () => number = () => 0): Promise<ScriptedModel> {
  const hanging = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    reply(request, response).catch(() => response.destroy());
  });

  async function reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body: unknown = JSON.parse(await readBody(request));
    const messages = listAt(body, 'messages').map((message): ChatMessage => ({ role: toText(at(message, 'role')), content: toText(at(message, 'content')) }));
    const step = nextStep(messages);
    if (step === 'hang') {
      hanging.add(response);
      response.once('close', () => hanging.delete(response));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, delayMs()));
    await toBehaviour(step)(response, { body, headers: request.headers, messages });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    env: { OPENAI_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, OPENAI_API_KEY: 'sk-chaos-not-a-secret', OPENAI_MODEL: MODEL },
    hanging: () => hanging.size,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Each answer of a tool, of whatever kind, moves the script on by one; null: it is at its end. */
function nextStep(messages: readonly ChatMessage[]): string | null {
  const script = messages.find(({ role }) => role === 'user')?.content ?? '';
  const steps = script.split(';').map((step) => step.trim());
  return steps[messages.filter(({ role }) => role === 'tool').length] ?? null;
}

function toBehaviour(step: string | null): Behaviour {
  if (step === null) return answer(DONE);
  const [verb = '', subject = ''] = step.split(' ');
  const tool = TOOLS[verb];
  return tool === undefined ? answer(DONE) : calls(step, tool(subject));
}

const toText = (value: unknown): string => (typeof value === 'string' ? value : '');

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
