/**
 * Knowledge: documents, their chunks (the fields of document section 15.2 under their own names;
 * the embedding comes with the vector route) and the inverted index that BM25 ranks over.
 * Keys start with `tenant_id` so that the tables can be distributed by tenant later.
 */
export const knowledge = {
  number: 2,
  name: 'knowledge',
  sql: `
CREATE TABLE knowledge_documents (
  tenant_id VARCHAR(64) NOT NULL,
  id UUID NOT NULL,
  source VARCHAR(1024) NOT NULL,
  title VARCHAR(256) NOT NULL,
  sha256 CHAR(64) NOT NULL,
  pipeline_version INTEGER NOT NULL,
  language VARCHAR(35) NOT NULL,
  tags TEXT[] NOT NULL,
  sensitivity_level SMALLINT NOT NULL CHECK (sensitivity_level BETWEEN 1 AND 3),
  access_group_id VARCHAR(64) NOT NULL CHECK (access_group_id <> ''),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- The file is gone; the row stays, because the lineage of old runs leads here.
  retired_at TIMESTAMPTZ,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, source)
);

CREATE TABLE knowledge_chunks (
  tenant_id VARCHAR(64) NOT NULL,
  chunk_id BIGINT GENERATED ALWAYS AS IDENTITY,
  content VARCHAR(65535) NOT NULL,
  access_group_id VARCHAR(64) NOT NULL CHECK (access_group_id <> ''),
  sensitivity_level SMALLINT NOT NULL CHECK (sensitivity_level BETWEEN 1 AND 3),
  document_id UUID NOT NULL,
  -- Text and occurrence are a chunk's identity in its document: unchanged text keeps its id.
  content_sha256 CHAR(64) NOT NULL,
  occurrence INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  heading_path TEXT[] NOT NULL,
  -- Weighted number of terms: the document length of BM25.
  length INTEGER NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  retired_at TIMESTAMPTZ,
  PRIMARY KEY (tenant_id, chunk_id),
  UNIQUE (tenant_id, document_id, content_sha256, occurrence),
  FOREIGN KEY (tenant_id, document_id) REFERENCES knowledge_documents (tenant_id, id)
);

-- Only live chunks have terms. No foreign key: it would double the cost of indexing, and both are written by one transaction.
CREATE TABLE knowledge_terms (
  tenant_id VARCHAR(64) NOT NULL,
  term VARCHAR(128) NOT NULL,
  chunk_id BIGINT NOT NULL,
  tf INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, term, chunk_id) INCLUDE (tf)
);
CREATE INDEX knowledge_terms_of_chunk ON knowledge_terms (tenant_id, chunk_id);

-- Number and length of the live chunks per label: the sums over the labels that a caller may see
-- are the N and the average length of that caller's BM25.
CREATE TABLE knowledge_statistics (
  tenant_id VARCHAR(64) NOT NULL,
  access_group_id VARCHAR(64) NOT NULL,
  sensitivity_level SMALLINT NOT NULL,
  chunks BIGINT NOT NULL,
  total_length BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, access_group_id, sensitivity_level)
);
`,
} as const;
