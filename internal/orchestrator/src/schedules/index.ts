export { countFailures } from './count-failures.ts';
export * from './next-fires.ts';
export * from './parse-cron.ts';
export * from './parse-time-zone.ts';
export * from './port.ts';
export * from './start-scheduler.ts';
