/** What operators look at: how far the clock of a node is from the database's. */
export const operations = {
  number: 5,
  name: 'operations',
  // Columns that have a default and that nobody older reads or writes.
  oldestProgram: 3,
  sql: `
-- Milliseconds by which the node's clock is ahead of the database's; null: not measured yet.
ALTER TABLE nodes ADD COLUMN clock_ahead_ms INTEGER;
ALTER TABLE nodes ADD COLUMN clock_measured_at TIMESTAMPTZ;
`,
} as const;
