export * from './claim-due-schedules.ts';
export * from './create-schedule.ts';
export * from './delete-schedule.ts';
export * from './find-schedule.ts';
export * from './list-schedules.ts';
export * from './settle-schedule.ts';
export * from './update-schedule.ts';
