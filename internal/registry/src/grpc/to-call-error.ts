import { status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { PlatformError } from '@openeaap/kernel';

/**
 * What a failed call means for the step (docs/plugin-protocol.md, "Errors"). The call had been sent, so unless the
 * plugin itself refused it nobody knows what it did: `internal`. The plugin's own words stay in the cause.
 * `isOurs`: we have given the call up ourselves.
 */
export function toCallError(error: ServiceError, plugin: string, isOurs: boolean): PlatformError {
  const refused = (code: 'invalid_input' | 'unauthenticated' | 'unsupported', message: string): PlatformError => new PlatformError(code, message, { cause: error, details: { sent: false } });
  // The one UNAVAILABLE that gRPC itself gives before anything is sent.
  if (error.code === status.UNAVAILABLE && error.details.startsWith('No connection established')) {
    return new PlatformError('unavailable', `The plugin "${plugin}" is not there at the moment; nothing was done.`, { cause: error, details: { sent: false } });
  }
  switch (error.code) {
    case status.CANCELLED:
      // A server that shuts down cancels its calls too.
      return isOurs ? new PlatformError('cancelled', 'The step was stopped.', { cause: error }) : broke(error, plugin);
    case status.DEADLINE_EXCEEDED:
      return new PlatformError('tool_timeout', `The plugin "${plugin}" did not answer in time.`, { cause: error });
    case status.INVALID_ARGUMENT:
      return refused('invalid_input', `The plugin "${plugin}" does not understand the step. Is its SDK as old as its handshake says?`);
    case status.UNIMPLEMENTED:
      return refused('unsupported', `The plugin "${plugin}" does not execute steps of this kind, although its handshake offers them.`);
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return refused('unauthenticated', `The plugin "${plugin}" refused our token or certificate.`);
    case status.RESOURCE_EXHAUSTED:
      // Said by either side, before or after the work was done.
      return new PlatformError('internal', `A message between the platform and the plugin "${plugin}" was larger than its receiver takes, or the plugin has too many steps. Return less, or a reference to it.`, { cause: error });
    default:
      return broke(error, plugin);
  }
}

const broke = (error: ServiceError, plugin: string): PlatformError =>
  new PlatformError('internal', `The plugin "${plugin}" broke off in the middle of a step (${status[error.code] ?? error.code}).`, { cause: error, details: { broke: true } });
