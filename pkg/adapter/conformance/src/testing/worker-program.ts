import { readFileSync } from 'node:fs';
import { ServerCredentials } from '@grpc/grpc-js';
import { PROGRAM_DEFECTS } from './program-defects.ts';
import { startReferenceWorker } from './reference-worker.ts';

/**
 * The reference worker as a program, by the contract of docs/plugin-protocol.md. The first argument
 * may name a defect, the second how it thinks.
 */
const [, , defectName = '', thinks = 'program'] = process.argv;
const defect = PROGRAM_DEFECTS[defectName] ?? {};
const env = process.env;
const listen = env['OPENEAAP_PLUGIN_LISTEN'] ?? '127.0.0.1:50051';
const { OPENEAAP_PLUGIN_TLS_CERT: cert, OPENEAAP_PLUGIN_TLS_KEY: key, OPENEAAP_PLUGIN_TLS_CLIENT_CA: clientCa } = env;
const DRAIN_MS = 10_000;

const isPrivate = /^(unix:|127\.|localhost:|\[::1\]:)/.test(listen);
if (!isPrivate && cert === undefined && defect.listensAnywhere !== true) {
  process.stderr.write(`It would be in plain text: not listening on ${listen}.\n`);
  process.exit(78);
}
const worker = await startReferenceWorker({
  listen,
  token: env['OPENEAAP_PLUGIN_TOKEN'] ?? null,
  crash: () => process.kill(process.pid, 'SIGKILL'),
  thinks: thinks === 'model' ? 'model' : 'program',
  ...(cert === undefined || key === undefined || defect.ignoresTls === true
    ? {}
    : { credentials: ServerCredentials.createSsl(clientCa === undefined ? null : readFileSync(clientCa), [{ cert_chain: readFileSync(cert), private_key: readFileSync(key) }], clientCa !== undefined && defect.takesAnyClient !== true) }),
  ...(defect.spoil === undefined ? {} : { spoil: defect.spoil }),
});
if (defect.chatters === true) process.stdout.write('Starting up!\n');
if (defect.saysNothing !== true) process.stdout.write(`${JSON.stringify({ openeaap_plugin: 1, listen: defect.saysWhatItWasTold === true ? listen : worker.listen })}\n`);
if (defect.chattersLater === true) process.stdout.write('Ready.\n');

process.on('SIGTERM', () => {
  if (defect.diesAtOnce === true) process.exit(0);
  if (defect.endsBadly === true) process.exitCode = 3;
  const limit = setTimeout(() => process.exit(), defect.neverEnds === true ? 600_000 : Number(env['TEST_DRAIN_MS'] ?? DRAIN_MS));
  if (defect.takesSteps === true) return;
  void worker.drain().then(() => clearTimeout(limit));
});
