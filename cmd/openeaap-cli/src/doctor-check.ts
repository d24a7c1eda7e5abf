/** One line of `openeaap doctor`. */
export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'problem';
  readonly detail: string;
  /** What to do about it; null when there is nothing to do. */
  readonly cure: string | null;
}

export const passed = (name: string, detail: string): Check => ({ name, status: 'ok', detail, cure: null });
export const warned = (name: string, detail: string, cure: string): Check => ({ name, status: 'warning', detail, cure });
export const failed = (name: string, detail: string, cure: string): Check => ({ name, status: 'problem', detail, cure });
