import type { Endpoint } from '../config/endpoint.ts';
import { REQUEST_PATHS } from '../request/model-request.ts';
import type { RequestKind } from '../request/model-request.ts';

/**
 * All that the gateway ever asks a vLLM server for. The server's key guards `/v1` alone: whoever
 * reaches it may also generate (`/invocations`, `/inference`), scale and pause it, load adapters
 * from its disk and read its caches. So no part of a path comes from a client.
 */
export type VllmCall = RequestKind | 'models' | 'health' | 'metrics';

/** The path of a call on a server whose base URL was parsed: the base is the operator's, the rest is a constant. */
export function vllmPath({ basePath }: Endpoint, call: VllmCall): string {
  switch (call) {
    case 'chat':
    case 'completions':
    case 'embeddings':
    case 'rerank':
    case 'responses':
      return `${basePath}${REQUEST_PATHS[call]}`;
    case 'models':
      return `${basePath}/models`;
    case 'health':
    case 'metrics':
      // Beside /v1, not below it; a proxy's prefix stays.
      return `${basePath.replace(/\/v1$/, '')}/${call}`;
  }
}
