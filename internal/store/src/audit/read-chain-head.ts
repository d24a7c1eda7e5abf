import type { Statement } from '../database.ts';

export const READ_CHAIN_HEAD: Statement = {
  name: 'read-chain-head',
  text: 'SELECT chain_seq, row_hash FROM audit_logs WHERE chain_id = $1 ORDER BY chain_seq DESC LIMIT 1',
};

/** Held until the end of the transaction; one writer of a chain at a time, also when a connection was lost. */
export const LOCK_CHAIN: Statement = {
  name: 'lock-chain',
  text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
};
