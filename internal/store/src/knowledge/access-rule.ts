import type { KnowledgeAccess } from './knowledge-types.ts';

/**
 * The access rule of knowledge, as SQL over a row with the columns of document section 15.2. Every
 * statement that reads for a user holds it, with the values of `accessValues` as $1, $2 and $3.
 * A null on either side makes it null, which is not true: nothing is shown.
 */
export const accessRule = (alias: string): string =>
  `${alias}.tenant_id = $1 AND ${alias}.sensitivity_level <= $2::smallint AND (${alias}.access_group_id = '*' OR ${alias}.access_group_id = ANY ($3::text[]))`;

export function accessValues(access: KnowledgeAccess): readonly unknown[] {
  return [access.tenantId, access.clearance, [...access.groups]];
}
