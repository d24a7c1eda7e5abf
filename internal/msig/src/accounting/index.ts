/** Limits, money and keys: what a program that runs the gateway wires. */
export type { Accountant, Drawn, LedgerEntry, MeteredAccess, Reservation, ReserveRequest, Spent } from './accountant.ts';
export { createAccountant } from './create-accountant.ts';
export type { AccountantDeps } from './create-accountant.ts';
export { toKeyAccess } from './key-access.ts';
export { createKeyResolver } from './key-resolver.ts';
export type { KeyResolver, KeyResolverDeps } from './key-resolver.ts';
export type { UsageRow, WriteUsage } from './ledger.ts';
export { hashModelKey, isModelKey, newModelKeySecret } from './model-key-secret.ts';
export type { ModelKeySecret } from './model-key-secret.ts';
export { priceNanosOf, priceOf } from './price-of.ts';
export { createRedisCounters } from './redis-counters.ts';
export type { RedisCountersDeps } from './redis-counters.ts';
export type { GiveItem, SharedCounters, TakeItem, TakeResult } from './shared-counters.ts';
