import { BinaryReader } from '@bufbuild/protobuf/wire';

/** `grpc.health.v1.Health/Check` in the few bytes that it takes: an empty request asks for the whole server. */
export const GRPC_HEALTH_PATH = '/grpc.health.v1.Health/Check';

/** Of `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
export const SERVING = 1;

/** Field 1, an enum; absent is 0, unknown. */
export function readServingStatus(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  let status = 0;
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 1) status = reader.int32();
    else reader.skip(wire);
  }
  return status;
}
