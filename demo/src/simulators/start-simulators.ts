import { createCmdb } from './cmdb.ts';
import type { FirewallRule } from './firewall.ts';
import { createFirewall } from './firewall.ts';
import { createSiem } from './siem.ts';
import { startSimulatedServer } from './simulated-server.ts';
import { createThreatIntel } from './threat-intel.ts';

export interface SimulatorsOptions {
  /** Where to listen; the demo uses 127.0.0.1. Each product gets a free port. */
  readonly host: string;
  /** Changes the scores of addresses that have no story. */
  readonly seed?: string;
  /** How the SIEM reaches the platform; the global `fetch` if absent. */
  readonly fetch?: typeof fetch;
}

export interface Simulators {
  readonly threatIntelUrl: string;
  readonly cmdbUrl: string;
  readonly firewallUrl: string;
  readonly siemUrl: string;
  readonly state: () => SimulatorsState;
  readonly close: () => Promise<void>;
}

/** What really happened in the simulated world so far. */
export interface SimulatorsState {
  readonly firewallRules: readonly FirewallRule[];
  /** Rules really created; a repeat with the same key is none. */
  readonly firewallEffects: number;
  readonly firewallRequests: number;
  readonly threatIntelLookups: number;
  readonly cmdbLookups: number;
  readonly alertsPushed: number;
}

/** Starts the four products that the security demo talks to. All state is in memory and ends with `close()`. */
export async function startSimulators({ host, seed = 'openeaap', fetch: fetchOut = fetch }: SimulatorsOptions): Promise<Simulators> {
  const threatIntel = createThreatIntel(seed);
  const cmdb = createCmdb();
  const firewall = createFirewall();
  const siem = createSiem(fetchOut);
  const [intelServer, cmdbServer, firewallServer, siemServer] = await Promise.all([
    startSimulatedServer(host, 'threat-intel', threatIntel.route),
    startSimulatedServer(host, 'cmdb', cmdb.route),
    startSimulatedServer(host, 'firewall', firewall.route),
    startSimulatedServer(host, 'siem', siem.route),
  ]);
  return {
    threatIntelUrl: intelServer.url,
    cmdbUrl: cmdbServer.url,
    firewallUrl: firewallServer.url,
    siemUrl: siemServer.url,
    state: () => ({
      firewallRules: firewall.rules(),
      firewallEffects: firewall.effects(),
      firewallRequests: firewall.blockRequests(),
      threatIntelLookups: threatIntel.lookups(),
      cmdbLookups: cmdb.lookups(),
      alertsPushed: siem.pushed(),
    }),
    close: async () => {
      await Promise.all([intelServer, cmdbServer, firewallServer, siemServer].map((server) => server.close()));
    },
  };
}
