// The program of an image: it serves one method of the plugin protocol, as the environment says. The first argument says
// how it misbehaves.
import { readFileSync } from 'node:fs';
import grpc from '@grpc/grpc-js';

const [mode] = process.argv.slice(2);
const { OPENEAAP_PLUGIN_LISTEN: listen, OPENEAAP_PLUGIN_TOKEN: token, OPENEAAP_PLUGIN_TLS_CERT: cert, OPENEAAP_PLUGIN_TLS_KEY: key, OPENEAAP_PLUGIN_TLS_CLIENT_CA: ca } = process.env;

if (mode === 'ends') {
  process.stderr.write('no model is configured\n');
  process.exit(3);
}

const bytes = (value) => value;
const server = new grpc.Server();
server.addService({ HealthCheck: { path: '/openeaap.runtime.v1.RuntimeService/HealthCheck', requestStream: false, responseStream: false, requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes } }, {
  HealthCheck: (call, answer) => {
    if (call.metadata.get('authorization')[0] !== `Bearer ${token}`) return answer({ code: grpc.status.UNAUTHENTICATED });
    // HealthCheckResponse: serving (field 1) true, detail (field 2).
    const detail = Buffer.from(JSON.stringify(Object.keys(process.env).filter((name) => !name.startsWith('__')).sort()));
    answer(null, Buffer.concat([Buffer.from([8, 1, 0x12, ...varint(detail.length)]), detail]));
  },
});

if (mode === 'silent') setInterval(() => undefined, 1_000);
else {
  const credentials = grpc.ServerCredentials.createSsl(readFileSync(ca), [{ cert_chain: readFileSync(cert), private_key: readFileSync(key) }], true);
  server.bindAsync(listen, credentials, (error, port) => {
    if (error !== null) throw error;
    process.stdout.write(`${JSON.stringify({ openeaap_plugin: 1, listen: `127.0.0.1:${port}` })}\n`);
  });
}
process.on('SIGTERM', () => (mode === 'stubborn' ? undefined : process.exit(0)));

function varint(value) {
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >> 7)];
}
