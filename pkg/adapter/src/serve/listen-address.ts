import { PlatformError } from '@openeaap/kernel';

/** Where a plugin listens. */
export type ListenAddress = { readonly kind: 'unix'; readonly path: string } | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** What the kernel takes for the path of a socket is 108 bytes at most, on some systems 104. */
const SOCKET_PATH_BYTES = 103;
const PORT_MAX = 65_535;

/** `unix:/path`, `127.0.0.1:50051`, `[::1]:0`. Errors: invalid_input with the cure. */
export function parseListenAddress(text: string): ListenAddress {
  const refuse = (why: string): PlatformError =>
    new PlatformError('invalid_input', `The listen address ${JSON.stringify(text)} cannot be used: ${why} Write unix:/path, 127.0.0.1:50051 or 0.0.0.0:50051.`, { details: { field: 'OPENEAAP_PLUGIN_LISTEN' } });
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    if (path === '' || path.includes('\0')) throw refuse('there is no path.');
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES) throw refuse(`the path has more than ${SOCKET_PATH_BYTES} bytes.`);
    return { kind: 'unix', path };
  }
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  if (found === null) throw refuse('it is not HOST:PORT.');
  const port = Number(found[3]);
  if (port > PORT_MAX) throw refuse(`the port is over ${PORT_MAX}.`);
  return { kind: 'tcp', host: found[1] ?? found[2] ?? '', port };
}

export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Nobody outside of this machine can reach it, so plain text is heard by nobody. */
export function isLocal(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true;
  return address.host === 'localhost' || address.host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address.host);
}
