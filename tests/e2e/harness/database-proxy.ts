import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** A way to the database that a test can block. */
export interface DatabaseProxy {
  readonly port: number;
  /**
   * `pass`: as if it were not there. `swallow`: connections are taken and stay open, and nothing gets
   * through any more, as with a frozen server or a lost route. `cut`: all are closed, new ones too.
   */
  readonly set: (mode: ProxyMode) => void;
  readonly close: () => Promise<void>;
}

export type ProxyMode = 'pass' | 'swallow' | 'cut';

/** From a TCP port on loopback to a Unix socket. */
export async function startDatabaseProxy(socketPath: string): Promise<DatabaseProxy> {
  let mode: ProxyMode = 'pass';
  const open = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    keep(client);
    if (mode === 'cut') return void client.destroy();
    const database = keep(connect(socketPath));
    const pipe = (from: Socket, to: Socket): void => {
      from.on('data', (chunk) => void (mode === 'pass' && to.write(chunk)));
      from.on('close', () => to.destroy());
    };
    pipe(client, database);
    pipe(database, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cutAll = (): void => open.forEach((socket) => socket.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    set: (next) => {
      // A stream that has lost bytes cannot be gone on with.
      if (next === 'cut' || (mode === 'swallow' && next === 'pass')) cutAll();
      mode = next;
    },
    close: async () => {
      cutAll();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
