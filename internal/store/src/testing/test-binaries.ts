/** Lets the same tests run on another PostgreSQL: OPENEAAP_TEST_PG_BIN=/usr/lib/postgresql/15/bin. */
export function readTestBinDir(): string | undefined {
  const binDir = process.env['OPENEAAP_TEST_PG_BIN'];
  return binDir === '' ? undefined : binDir;
}
