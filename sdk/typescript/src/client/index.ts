export type { RunStatus } from '@openeaap/kernel';
