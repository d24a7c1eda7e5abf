import type { Principal } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { AccessFilter } from './port.ts';

/**
 * The one place where rights become a filter. Fails closed: a principal of another tenant is
 * refused, and a clearance that is not 1, 2 or 3 sees nothing.
 */
export function toAccessFilter(tenantId: string, principal: Principal): AccessFilter {
  if (tenantId === '' || principal.tenantId !== tenantId) {
    throw new PlatformError('permission_denied', 'You can only read the knowledge of your own tenant.');
  }
  const { clearance } = principal;
  const known = clearance === 1 || clearance === 2 || clearance === 3;
  return { tenantId, clearance: known ? clearance : 0, groups: principal.groups.filter((group) => typeof group === 'string' && group !== '') };
}
