import type { ChatReply, ChatRequest } from '@openeaap/kernel';
import type { BackendCall, TokenCounts } from './backend.ts';

/** One try of a chat in the platform's own words. */
export interface ChatCall extends Pick<BackendCall, 'signal' | 'onUsage'> {
  readonly onDelta: (text: string) => void;
}

export interface ChatTryReply extends Omit<ChatReply, 'usage' | 'backend'> {
  readonly usage: TokenCounts;
}

export type AskChat = (request: ChatRequest, call: ChatCall) => Promise<ChatTryReply>;
