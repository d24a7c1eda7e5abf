import type { ErrorCode } from '@openeaap/kernel';

/** The exit codes of every command; a promise to scripts, printed by `openeaap --help`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  conflict: 5,
  runNotCompleted: 6,
  unreachable: 7,
  verificationFailed: 8,
  /** 128 + SIGINT, as shells do. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The platform's codes, and those of failures that happen on this side of the wire. */
export type CliErrorCode = ErrorCode | 'usage' | 'unreachable' | 'bad_response' | 'interrupted';

const EXIT_OF: Readonly<Partial<Record<CliErrorCode, ExitCode>>> = {
  usage: EXIT.usage,
  invalid_input: EXIT.usage,
  payload_too_large: EXIT.usage,
  not_found: EXIT.notFound,
  gone: EXIT.notFound,
  unauthenticated: EXIT.denied,
  permission_denied: EXIT.denied,
  policy_denied: EXIT.denied,
  conflict: EXIT.conflict,
  idempotency_mismatch: EXIT.conflict,
  already_decided: EXIT.conflict,
  hash_mismatch: EXIT.conflict,
  unreachable: EXIT.unreachable,
  unavailable: EXIT.unreachable,
  interrupted: EXIT.interrupted,
};

export function exitCodeOf(code: CliErrorCode): ExitCode {
  return EXIT_OF[code] ?? EXIT.failed;
}

export const EXIT_HELP = `Exit codes:
  0  done
  1  failed, or something unexpected
  2  usage: the command line or the input is wrong
  3  not found
  4  denied, or the API key is missing or wrong
  5  conflict: not in a state that allows this, or already decided
  6  the run ended failed or cancelled (run watch, --watch)
  7  the server cannot be reached or is not ready
  8  verification failed (audit verify, policy test --expect)
  130  interrupted by Ctrl-C; runs go on`;
