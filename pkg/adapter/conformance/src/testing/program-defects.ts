import type { Parts } from './reference-worker.ts';

/** What can be wrong with a process rather than with its answers. */
export interface ProgramDefect {
  /** Prints something before the line. */
  readonly chatters?: boolean;
  readonly chattersLater?: boolean;
  readonly saysNothing?: boolean;
  /** Announces port 0 for port 0. */
  readonly saysWhatItWasTold?: boolean;
  readonly listensAnywhere?: boolean;
  readonly ignoresTls?: boolean;
  readonly takesAnyClient?: boolean;
  readonly diesAtOnce?: boolean;
  readonly endsBadly?: boolean;
  readonly neverEnds?: boolean;
  readonly takesSteps?: boolean;
  readonly spoil?: (parts: Parts) => Parts;
}

/** By name; a program cannot be handed a function. */
export const PROGRAM_DEFECTS: Readonly<Record<string, ProgramDefect>> = {
  'chatters': { chatters: true },
  'chatters-later': { chattersLater: true },
  'says-nothing': { saysNothing: true },
  'says-what-it-was-told': { saysWhatItWasTold: true },
  'listens-anywhere': { listensAnywhere: true },
  'ignores-tls': { ignoresTls: true },
  'takes-any-client': { takesAnyClient: true },
  'dies-at-once': { diesAtOnce: true },
  'ends-badly': { endsBadly: true },
  'never-ends': { neverEnds: true },
  'takes-steps': { takesSteps: true },
  'ignores-token': { spoil: (parts) => ({ ...parts, authenticate: () => null }) },
  'wants-a-token': { spoil: (parts) => ({ ...parts, authenticate: (authorization, method) => (authorization === undefined ? 'A token is missing.' : parts.authenticate(authorization, method)) }) },
  'logs-secrets': {
    spoil: (parts) => ({
      ...parts,
      tool: (request, call) => {
        process.stderr.write(`step ${JSON.stringify(request)}\n`);
        return parts.tool(request, call);
      },
    }),
  },
  'survives-a-crash': { spoil: (parts) => ({ ...parts, tool: (request, call) => (request.tool === 'conformance_crash' ? Promise.reject(new Error('caught')) : parts.tool(request, call)) }) },
};
