/** A model server's base: where its pool connects to, and the path that `/chat/completions` is added to. */
export interface Endpoint {
  readonly origin: string;
  readonly basePath: string;
}

/**
 * Accepts what people write: `http://host:8000` (vLLM's own form) gets `/v1`;
 * `https://host/v1`, with or without a slash at the end, and a whole `…/chat/completions` are cut to the base.
 */
export function parseEndpoint(text: string): Endpoint {
  const url = new URL(text);
  const path = url.pathname.replace(/\/+$/, '').replace(/\/chat\/completions$/, '');
  return { origin: url.origin, basePath: path === '' ? '/v1' : path };
}
