import type { Statement } from '../database.ts';

/** Who owns a run and how far it is. */
export const READ_FENCE: Statement = {
  name: 'read-fence',
  text: `SELECT node_id, lease_epoch, status, commit_no, last_seq, signal_no FROM runs WHERE tenant_id = $1 AND id = $2`,
};
