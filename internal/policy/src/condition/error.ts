/** A condition that cannot be used. `at` is the offset in the condition; the message says what is wrong and the cure. */
export class ConditionError extends Error {
  override readonly name = 'ConditionError';
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}
