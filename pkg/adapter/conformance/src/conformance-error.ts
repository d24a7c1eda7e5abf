/** `usage`: asked wrongly. `unreachable`: there is nothing to test. `promise_broken`: the plugin does not keep what a check asks for. */
export type ConformanceErrorCode = 'usage' | 'unreachable' | 'promise_broken';

/** The only error of this package. `expected` and `got` are in words, and are set for a broken promise. */
export class ConformanceError extends Error {
  override readonly name = 'ConformanceError';
  readonly code: ConformanceErrorCode;
  readonly expected: string;
  readonly got: string;

  constructor(code: ConformanceErrorCode, message: string, promise: { readonly expected: string; readonly got: string } = { expected: '', got: '' }) {
    super(message);
    this.code = code;
    this.expected = promise.expected;
    this.got = promise.got;
  }
}

/** What every check throws when the plugin did something else. */
export function broken(expected: string, got: string): ConformanceError {
  return new ConformanceError('promise_broken', `expected ${expected}; got ${got}`, { expected, got });
}
