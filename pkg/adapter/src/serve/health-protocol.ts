import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';

export const HEALTH_SERVICE_NAME = 'grpc.health.v1.Health';

/** Values of grpc.health.v1.HealthCheckResponse.ServingStatus. */
export const SERVING = 1;
export const NOT_SERVING = 2;

interface HealthRequest {
  /** Empty: the server as a whole. */
  readonly service: string;
}

interface HealthResponse {
  readonly status: typeof SERVING | typeof NOT_SERVING;
}

/**
 * grpc.health.v1.Health, its Check alone: two messages of one field each need no generator. Watch is answered with
 * UNIMPLEMENTED, which the standard foresees: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export const HEALTH_SERVICE = {
  check: {
    path: `/${HEALTH_SERVICE_NAME}/Check`,
    requestStream: false,
    responseStream: false,
    requestSerialize: ({ service }: HealthRequest): Buffer => Buffer.from(new BinaryWriter().uint32(10).string(service).finish()),
    requestDeserialize: readRequest,
    responseSerialize: ({ status }: HealthResponse): Buffer => Buffer.from(new BinaryWriter().uint32(8).int32(status).finish()),
    responseDeserialize: readResponse,
  },
} as const;

function readRequest(bytes: Uint8Array): HealthRequest {
  const reader = new BinaryReader(bytes);
  let service = '';
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 10) service = reader.string();
    else reader.skip(tag & 7);
  }
  return { service };
}

function readResponse(bytes: Uint8Array): HealthResponse {
  const reader = new BinaryReader(bytes);
  let value = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) value = reader.int32();
    else reader.skip(tag & 7);
  }
  return { status: value === SERVING ? SERVING : NOT_SERVING };
}
