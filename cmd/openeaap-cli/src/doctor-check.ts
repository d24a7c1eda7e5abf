/** One line of `openeaap doctor`. */
export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do about it; null when there is nothing to do. */
  readonly cure: string | null;
}

export const passed = (name: string, detail: string): Check => ({ name, status: 'ok', detail, cure: null });
export const warned = (name: string, detail: string, cure: string): Check => ({ name, status: 'warn', detail, cure });
export const failed = (name: string, detail: string, cure: string): Check => ({ name, status: 'fail', detail, cure });
