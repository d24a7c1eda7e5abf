import { connect } from 'node:tls';
import type { LaunchedTls } from './launcher.ts';

/**
 * Does somebody at `target` (host:port) show a certificate of ours and take ours? null: yes; else why not. The engine
 * takes connections to a published port before the program behind it does, so that one opens says nothing.
 */
export function probeTls(target: string, tls: LaunchedTls, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const url = new URL(`https://${target}`);
    const socket = connect({ host: url.hostname, port: Number(url.port), ca: tls.ca, cert: tls.clientCert, key: tls.clientKey, servername: tls.serverName, ALPNProtocols: ['h2'], timeout: timeoutMs });
    const done = (why: string | null): void => {
      socket.destroy();
      resolve(why);
    };
    // A server of HTTP/2 speaks first, and it does so only when it has taken our certificate (TLS 1.3 tells us no sooner).
    socket.once('data', () => done(null));
    socket.once('timeout', () => done('its port does not answer'));
    socket.once('error', (error) => done(`its port does not speak TLS with us (${'code' in error ? String(error.code) : error.message})`));
    socket.once('close', () => done('its port takes no connections yet'));
  });
}
