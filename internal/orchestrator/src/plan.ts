import type { ActStep, Decision, RunEnd, ToolSpec } from '@openeaap/kernel';
import type { Fragment } from './fragment.ts';
import type { RunState } from './run-state.ts';

/** What comes next: decided, and about to be committed as intent before anything is done (R4). */
export type Action =
  | { readonly kind: 'think'; readonly stepNo: number; readonly stepId: string; readonly decision: Decision & { readonly effect: 'allow' }; readonly tools: readonly ToolSpec[] }
  | { readonly kind: 'act'; readonly acts: readonly ActStep[] }
  | { readonly kind: 'stop'; readonly end: RunEnd }
  /** Write down what was done and let another node go on. */
  | { readonly kind: 'leave' };

export interface Plan {
  readonly action: Action;
  readonly fragment: Fragment;
  /** The state once the fragment has been committed. */
  readonly state: RunState;
}
