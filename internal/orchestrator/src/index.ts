export * from './accept-run.ts';
export * from './cancel-run.ts';
export * from './decide-approval.ts';
export type { DriveDeps } from './deps.ts';
export { driveRun } from './drive-run.ts';
export * from './node.ts';
export * from './port.ts';
export * from './schedules/index.ts';
