/** Plugins that were declared by the API, and what was accepted of tools whose server is not believed. */
export const plugins = {
  number: 8,
  name: 'plugins',
  // New tables alone.
  oldestProgram: 3,
  sql: `
CREATE TABLE plugins (
  tenant_id VARCHAR(64) NOT NULL DEFAULT 'default',
  name VARCHAR(50) NOT NULL,
  -- As it was written, in the words of configs/plugins.yaml; null: it is declared there, and only its restarts are counted here.
  declaration JSONB,
  -- Counts restarts that people asked for: every node follows.
  generation INTEGER NOT NULL DEFAULT 1,
  created_by VARCHAR(255) NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (tenant_id, name)
);

CREATE TABLE plugin_pins (
  tenant_id VARCHAR(64) NOT NULL DEFAULT 'default',
  plugin VARCHAR(50) NOT NULL,
  tool VARCHAR(255) NOT NULL,
  -- SHA-256 of the tool's description and schemas.
  hash VARCHAR(64) NOT NULL,
  -- null: seen at its first listing.
  accepted_by VARCHAR(255),
  accepted_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (tenant_id, plugin, tool)
);
`,
} as const;
