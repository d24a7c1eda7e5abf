import type { Principal } from '@openeaap/kernel';
import type { Principal as WirePrincipal } from '@openeaap/proto';

export function principalToWire(principal: Principal): WirePrincipal {
  return { userId: principal.userId, groups: principal.groups, clearance: principal.clearance };
}

/** A clearance that nobody named, or that this version does not know, opens only what is public. */
export function principalFromWire(principal: WirePrincipal | undefined, tenantId: string): Principal {
  const clearance = principal?.clearance === 2 || principal?.clearance === 3 ? principal.clearance : 1;
  return { tenantId, userId: principal?.userId ?? '', groups: principal?.groups ?? [], clearance };
}
