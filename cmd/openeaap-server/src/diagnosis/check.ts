/** One line of a diagnosis. */
export interface Check {
  /** Stable, for scripts. */
  readonly name: string;
  /** `warning`: works, and somebody should know. `problem`: does not work, or will soon not. */
  readonly status: 'ok' | 'warning' | 'problem';
  readonly summary: string;
  /** What to do about it; null exactly when the status is ok. */
  readonly cure: string | null;
}

export const ok = (name: string, summary: string): Check => ({ name, status: 'ok', summary, cure: null });
export const warning = (name: string, summary: string, cure: string): Check => ({ name, status: 'warning', summary, cure });
export const problem = (name: string, summary: string, cure: string): Check => ({ name, status: 'problem', summary, cure });
