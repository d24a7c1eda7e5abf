export { demoFiles } from './demo-files.ts';
export { createPlatformClient } from './platform-client.ts';
export type { PlatformClient, ShownEvent } from './platform-client.ts';
export type { FlagshipOptions, FlagshipResult } from './run-flagship.ts';
export { leaveOneWaiting, runFlagship } from './run-flagship.ts';
export { seedDemo } from './seed-demo.ts';
export type { FirewallRule } from './simulators/firewall.ts';
export { startSimulators } from './simulators/start-simulators.ts';
export type { Simulators, SimulatorsOptions, SimulatorsState } from './simulators/start-simulators.ts';
