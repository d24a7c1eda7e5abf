import { createHash, timingSafeEqual } from 'node:crypto';
import { ServerInterceptingCall, ServerListenerBuilder, status } from '@grpc/grpc-js';
import type { Metadata, ServerInterceptor } from '@grpc/grpc-js';
import { HEALTH_SERVICE_NAME } from './health-protocol.ts';

/**
 * Lets only calls with the token pass, before a byte of their message is read. The health service of gRPC
 * answers without it: who probes has no token, and learns nothing but whether the plugin serves.
 */
export function requireToken(token: string): ServerInterceptor {
  const expected = digest(`Bearer ${token}`);
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        if (method.path.startsWith(`/${HEALTH_SERVICE_NAME}/`)) return next();
        next(
          new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, pass) => {
              if (hasToken(metadata, expected)) pass(metadata);
              else call.sendStatus({ code: status.UNAUTHENTICATED, details: 'The call does not carry the token of this plugin as "authorization: Bearer TOKEN".' });
            })
            .build(),
        );
      },
    });
}

function hasToken(metadata: Metadata, expected: Buffer): boolean {
  const [value, ...more] = metadata.get('authorization');
  return more.length === 0 && typeof value === 'string' && timingSafeEqual(digest(value), expected);
}

/** Of equal length, whatever was sent. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
