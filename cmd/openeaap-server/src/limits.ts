import type { ConcurrencyLimits } from '@openeaap/kernel';
import { NO_CONCURRENCY_LIMITS, PlatformError, isJsonObject } from '@openeaap/kernel';

/** `configs/limits.yaml`. Without the file there are no limits. Errors: invalid_input that names the key and the cure. */
export function parseLimits(document: unknown, file: string): ConcurrencyLimits {
  if (document === null || document === undefined) return NO_CONCURRENCY_LIMITS;
  const wrong = (what: string): PlatformError => new PlatformError('invalid_input', `${file}: ${what}`, { details: { file } });
  const section = (value: unknown, at: string, keys: readonly string[] | null): Readonly<Record<string, unknown>> => {
    if (value === null || value === undefined) return {};
    if (!isJsonObject(value)) throw wrong(`${at} must be a mapping.`);
    const unknown = keys === null ? undefined : Object.keys(value).find((key) => !keys.includes(key));
    if (unknown !== undefined) throw wrong(`${at} has an unknown key "${unknown}"; it takes ${keys?.join(' and ') ?? ''}.`);
    return value;
  };
  const toLimit = (value: unknown, at: string): number => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1) return value;
    throw wrong(`${at} must be a whole number from 1 on, not ${JSON.stringify(value)}. To stop a tenant's runs, revoke its keys.`);
  };
  const { concurrency } = section(document, 'the file', ['concurrency']);
  const { default: general = null, tenants } = section(concurrency, 'concurrency', ['default', 'tenants']);
  return {
    default: general === null ? null : toLimit(general, 'concurrency.default'),
    tenants: Object.fromEntries(Object.entries(section(tenants, 'concurrency.tenants', null)).map(([tenant, limit]) => [tenant, toLimit(limit, `concurrency.tenants.${tenant}`)])),
  };
}
