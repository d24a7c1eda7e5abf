/** $1: name. Reserves the log from now on; temporary: it goes with the session. */
export const KEEP_WAL = 'SELECT pg_create_physical_replication_slot($1, true, true)';

/** With an immediate checkpoint instead of one spread over minutes. */
export const BACKUP_START = `SELECT pg_backup_start('openeaap', true)::text AS lsn`;

/** Does not wait for an archive of the log, which the embedded server does not have: we copy the log ourselves. */
export const BACKUP_STOP = 'SELECT lsn::text AS lsn, labelfile, spcmapfile FROM pg_backup_stop(false)';

/** Files of the log from $1 to $2. */
export const NAME_SEGMENTS = 'SELECT pg_walfile_name($1::pg_lsn) AS first, pg_walfile_name($2::pg_lsn) AS last';
