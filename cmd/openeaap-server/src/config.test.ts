import { describe, expect, test } from 'vitest';
import { DEFAULT_PORT, parseConfig } from './config.ts';

const parse = (argv: readonly string[], environment: Record<string, string> = {}) => parseConfig(argv, '/srv', environment);

describe('parseConfig', () => {
  test('without anything: loopback, the default port, state in ./.openeaap, the embedded store', () => {
    expect(parse([])).toMatchObject({ host: '127.0.0.1', port: DEFAULT_PORT, portWasAsked: false, dataDir: '/srv/.openeaap', databaseUrl: null, demo: false, job: 'none', logLevel: 'info' });
  });

  test('the job brings the demo along', () => {
    expect(parse(['--job', '--once'])).toMatchObject({ demo: true, job: 'once' });
    expect(parse(['--job'])).toMatchObject({ demo: true, job: 'stay' });
  });

  test.each([
    [['--port', 'http'], /--port takes a number/],
    [['--port', '70000'], /--port takes a number/],
    [['--prot', '1'], /prot/],
  ])('%j is refused with the usage or the cure', (argv, message) => {
    expect(() => parse(argv)).toThrow(message);
  });

  test('a node has every role unless it is told', () => {
    expect([...parse([]).roles]).toEqual(['api', 'orchestrator', 'gateway']);
    expect([...parse(['--role=api']).roles]).toEqual(['api']);
    expect([...parse(['--role', 'orchestrator, gateway']).roles]).toEqual(['orchestrator', 'gateway']);
  });

  test.each([
    [['--role', 'worker'], /--role takes api, orchestrator, gateway, with commas between them, not "worker"/],
    [['--role', 'orchestrator'], /Write orchestrator,gateway/],
    [['--role', 'api', '--demo'], /the demo needs every role/],
  ])('%j is refused with the cure', (argv, message) => {
    expect(() => parse(argv)).toThrow(message);
  });

  test('how long a stop may take', () => {
    expect(parse([]).drainMs).toBe(25_000);
    expect(parse([], { OPENEAAP_DRAIN_SECONDS: '90' }).drainMs).toBe(90_000);
    expect(() => parse([], { OPENEAAP_DRAIN_SECONDS: 'soon' })).toThrow(/OPENEAAP_DRAIN_SECONDS takes seconds/);
  });

  test('a command is one that there is, and backup says where to', () => {
    expect(parse([])).toMatchObject({ command: 'serve', backupTo: null });
    expect(parse(['doctor', '--json'])).toMatchObject({ command: 'doctor', json: true });
    expect(parse(['backup', '--to', 'copy'])).toMatchObject({ command: 'backup', backupTo: '/srv/copy' });
    expect(() => parse(['serve'])).toThrow(/without one it serves/);
    expect(() => parse(['restore'])).toThrow(/"restore" is not a command/);
    expect(() => parse(['doctor', 'backup'])).toThrow(/is not a command/);
    expect(() => parse(['backup'])).toThrow(/--to DIR/);
    expect(() => parse(['--to', 'copy'])).toThrow(/belongs to the command backup/);
  });

  test('a delay of the stop is a number of milliseconds within its limit', () => {
    expect(parse([], { OPENEAAP_DRAIN_DELAY_MS: '5000' }).drainDelayMs).toBe(5_000);
    for (const text of ['-1', '5s', '60001']) expect(() => parse([], { OPENEAAP_DRAIN_DELAY_MS: text })).toThrow(/OPENEAAP_DRAIN_DELAY_MS takes milliseconds/);
  });

  test('safety cannot be switched off', () => {
    expect(() => parse([], { ENABLE_AUDIT_LOG: 'false' })).toThrow(/cannot be switched off/);
    expect(() => parse([], { ENABLE_PII_MASKING: '0' })).toThrow(/cannot be switched off/);
    expect(parse([], { ENABLE_AUDIT_LOG: 'true', ENABLE_PII_MASKING: 'true' }).job).toBe('none');
  });

  test('the database is DATABASE_URL, or made of the parts that the deployment manifest names', () => {
    expect(parse([], { DATABASE_URL: 'postgres://x/y', DB_HOST: 'h' }).databaseUrl).toBe('postgres://x/y');
    expect(parse([], { DB_HOST: 'postgres-rw', DB_USER: 'u@corp', DB_PASSWORD: 'p:w' }).databaseUrl).toBe('postgres://u%40corp:p%3Aw@postgres-rw:5432/openeaap');
  });

  test('an empty variable is one that is not set', () => {
    expect(parse([], { DATABASE_URL: '', OPENEAAP_DATA_DIR: '', LOG_LEVEL: '', THREAT_INTEL_URL: '' })).toMatchObject({ databaseUrl: null, dataDir: '/srv/.openeaap', logLevel: 'info', products: { threatIntelUrl: undefined } });
  });

  test('a log level that there is not is named', () => {
    expect(() => parse([], { LOG_LEVEL: 'loud' })).toThrow(/LOG_LEVEL is one of/);
  });
});
