import type { Endpoint } from '../config/endpoint.ts';
import { REQUEST_PATHS } from '../request/model-request.ts';
import type { RequestKind } from '../request/model-request.ts';

/**
 * All that the gateway ever asks a model server for. Of a vLLM server the key guards `/v1` alone:
 * whoever reaches it may also generate (`/invocations`, `/inference`), scale and pause it, load
 * adapters from its disk and read its caches. So no part of a path comes from a client.
 */
export type UpstreamCall = RequestKind | 'models' | 'metrics';

/** The path of a call on a server whose base URL was parsed: the base is the operator's, the rest is a constant. */
export function upstreamPath({ basePath }: Endpoint, call: UpstreamCall): string {
  if (call === 'models') return `${basePath}/models`;
  // Beside /v1, not below it; a proxy's prefix stays.
  if (call === 'metrics') return `${basePath.replace(/\/v1$/, '')}/metrics`;
  return `${basePath}${REQUEST_PATHS[call]}`;
}
