export type { FirewallRule } from './simulators/firewall.ts';
export { startSimulators } from './simulators/start-simulators.ts';
export type { Simulators, SimulatorsOptions, SimulatorsState } from './simulators/start-simulators.ts';
