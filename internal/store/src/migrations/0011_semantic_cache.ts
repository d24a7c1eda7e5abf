/** Questions of the semantic cache as vectors, with their answers: for installations without a Redis that has vectors. */
export const semanticCache = {
  number: 11,
  name: 'semantic_cache',
  // A new table alone.
  oldestProgram: 3,
  sql: `
CREATE TABLE semantic_cache (
  tenant_id VARCHAR(64) NOT NULL,
  -- Keyed hashes: of all that must be equal before two questions are compared, and of the request.
  scope VARCHAR(64) NOT NULL,
  id VARCHAR(64) NOT NULL,
  -- The sign of each number of the vector: near vectors differ in few. They are counted here; the vectors are compared in the program.
  signs BIT VARYING(8192) NOT NULL,
  -- 32-bit floats, the lowest byte first; of length 1.
  vector BYTEA NOT NULL,
  -- Keyed hashes of what the guard compares.
  facts VARCHAR(1024) NOT NULL,
  answer BYTEA NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (tenant_id, scope, id)
);
CREATE INDEX semantic_cache_newest ON semantic_cache (tenant_id, scope, created_at);
CREATE INDEX semantic_cache_expiry ON semantic_cache (expires_at);
-- A cache: after a crash it is empty, and nobody writes it twice.
ALTER TABLE semantic_cache SET UNLOGGED;
ALTER TABLE semantic_cache ALTER COLUMN vector SET STORAGE EXTERNAL;
`,
} as const;
