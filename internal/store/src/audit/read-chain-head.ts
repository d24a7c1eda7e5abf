import type { Statement } from '../database.ts';

export const READ_CHAIN_HEAD: Statement = {
  name: 'read-chain-head',
  text: 'SELECT chain_seq, row_hash FROM audit_logs WHERE chain_id = $1 ORDER BY chain_seq DESC LIMIT 1',
};
