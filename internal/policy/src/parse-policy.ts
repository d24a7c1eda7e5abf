import { LIMITS } from '@openeaap/kernel';
import { compileRegex } from '@openeaap/security';
import type { PiiRule } from '@openeaap/security';
import { parseIpRange } from './cidr.ts';
import { ALWAYS, compileCondition } from './condition/compile.ts';
import type { CompiledCondition } from './condition/compile.ts';
import { ConditionError } from './condition/error.ts';
import { parseGlob } from './glob.ts';
import type { Glob } from './glob.ts';
import { POLICY_LIMITS } from './limits.ts';
import { DEMAND_KEYS, readDemand, readSubjects } from './read-demand.ts';
import type { CidrText, EffectRule, Gate, PolicyRules, Quota, QuotaSubject, Role, Scope } from './rules.ts';
import { throwIfAny, YamlReader } from './yaml-reader.ts';
import type { Fields, Node, PolicyFile, Problems } from './yaml-reader.ts';

export interface ParseOptions {
  /** For gates that name no timeout. */
  readonly approvalTimeoutMs: number;
}

const SECTIONS = ['pii_masking', 'approval_gates', 'rbac', 'scopes', 'rules', 'quotas', 'constraints', 'uncertain_outcome'] as const;

/** Parses and merges files in the given order. `sections` counts how many sections were found. @throws PlatformError policy_invalid */
export function parsePolicy(files: readonly PolicyFile[], options: ParseOptions): { readonly rules: PolicyRules; readonly sections: number } {
  const draft = createDraft();
  const problems: Problems = { list: [] };
  let sections = 0;
  for (const file of files) {
    const reader = new YamlReader(file, problems);
    const root = reader.root();
    if (root === null) continue;
    const fields = reader.map(root, 'the policy', SECTIONS) ?? new Map<string, Node>();
    for (const [section, node] of fields) {
      sections += 1;
      readSection({ reader, draft, options }, section as (typeof SECTIONS)[number], node);
    }
  }
  throwIfAny(problems);
  const { names: _names, piiEnabled, ...rules } = draft;
  return { rules: { ...rules, piiEnabled: piiEnabled ?? rules.piiRules.length > 0 }, sections };
}

interface Draft {
  piiEnabled: boolean | null;
  readonly piiRules: PiiRule[];
  readonly gates: Gate[];
  roles: Role[] | null;
  readonly scopes: Scope[];
  readonly rules: EffectRule[];
  readonly quotas: Quota[];
  constraints: PolicyRules['constraints'];
  uncertainOutcome: PolicyRules['uncertainOutcome'];
  /** `SECTION NAME` of everything named so far. */
  readonly names: Set<string>;
}

interface Context {
  readonly reader: YamlReader;
  readonly draft: Draft;
  readonly options: ParseOptions;
}

function createDraft(): Draft {
  return {
    piiEnabled: null,
    piiRules: [],
    gates: [],
    roles: null,
    scopes: [],
    rules: [],
    quotas: [],
    constraints: { blockedTools: [], dryRun: false, maxTokens: 0 },
    uncertainOutcome: null,
    names: new Set(),
  };
}

function readSection(context: Context, section: (typeof SECTIONS)[number], node: Node): void {
  const { reader, draft } = context;
  switch (section) {
    case 'pii_masking':
      return readPii(context, node);
    case 'approval_gates':
      return readEntries(reader, node, section, (entry) => readGate(context, entry), draft.gates);
    case 'rbac':
      return readRbac(context, node);
    case 'scopes':
      return readEntries(reader, node, section, (entry) => readScope(context, entry), draft.scopes);
    case 'rules':
      return readEntries(reader, node, section, (entry) => readRule(context, entry), draft.rules);
    case 'quotas':
      return readEntries(reader, node, section, (entry) => readQuota(context, entry), draft.quotas);
    case 'constraints':
      return readConstraints(context, node);
    case 'uncertain_outcome':
      return readUncertainOutcome(context, node);
    default:
      return section satisfies never;
  }
}

function readEntries<T>(reader: YamlReader, node: Node, section: string, read: (entry: Node) => T | null, into: T[]): void {
  for (const entry of reader.list(node, section)) {
    const value = read(entry);
    if (value !== null) into.push(value);
  }
}

function readPii(context: Context, node: Node): void {
  const { reader, draft } = context;
  const fields = reader.map(node, 'pii_masking', ['enabled', 'rules']);
  if (fields === null) return;
  const enabled = optional(fields, 'enabled', (value) => reader.flag(value, 'enabled'));
  if (enabled !== null) {
    if (draft.piiEnabled !== null && draft.piiEnabled !== enabled) reader.report(node, 'another file sets pii_masking.enabled otherwise; set it in one file only');
    draft.piiEnabled = enabled;
  }
  if (fields.has('rules')) readEntries(reader, fields.get('rules') ?? null, 'pii_masking.rules', (entry) => readPiiRule(context, entry), draft.piiRules);
}

function readPiiRule(context: Context, node: Node): PiiRule | null {
  const { reader } = context;
  const fields = reader.map(node, 'a masking rule', ['name', 'regex', 'action']);
  if (fields === null) return null;
  const name = readName(context, node, fields, 'pii_masking.rules');
  const regex = required(reader, node, fields, 'regex', (value) => reader.text(value, 'regex', POLICY_LIMITS.conditionChars));
  const action = required(reader, node, fields, 'action', (value) => reader.choice(value, 'action', ['mask', 'redact', 'hash'] as const));
  if (name === null || regex === null || action === null) return null;
  const compiled = compileRegex(regex);
  if (!compiled.ok) return reader.report(fields.get('regex') ?? null, compiled.problem);
  if (compiled.regex.test('')) return reader.report(fields.get('regex') ?? null, 'the regular expression matches the empty text; let it match at least one character');
  return { name, regex, action };
}

function readGate(context: Context, node: Node): Gate | null {
  const { reader, draft, options } = context;
  const fields = reader.map(node, 'an approval gate', ['name', 'tool_pattern', 'condition', ...DEMAND_KEYS]);
  if (fields === null) return null;
  const name = fields.has('name') ? readName(context, node, fields, 'approval_gates') : null;
  const pattern = required(reader, node, fields, 'tool_pattern', (value) => readGlob(reader, value, 'tool_pattern'));
  const condition = readCondition(reader, fields);
  const demand = readDemand(reader, node, fields, { timeoutMs: options.approvalTimeoutMs, everyone: false });
  if (pattern === null || condition === null || demand === null) return null;
  const id = name === null ? `approval_gates[${draft.gates.length}]` : `approval_gates.${name}`;
  return { id, pattern, condition, ...demand };
}

/** One for the whole policy: two would have to be told apart, and a person who may say too much is not safe. */
function readUncertainOutcome(context: Context, node: Node): void {
  const { reader, draft } = context;
  const fields = reader.map(node, 'uncertain_outcome', DEMAND_KEYS);
  if (fields === null) return;
  if (draft.uncertainOutcome !== null) return void reader.report(node, 'another file has uncertain_outcome already; keep it in one file only');
  draft.uncertainOutcome = readDemand(reader, node, fields, { timeoutMs: LIMITS.approvalTimeoutCeilingMs, everyone: true });
}

function readRbac(context: Context, node: Node): void {
  const { reader, draft } = context;
  const fields = reader.map(node, 'rbac', ['roles']);
  draft.roles ??= [];
  if (fields === null) return;
  if (!fields.has('roles')) reader.report(node, "rbac needs 'roles'; an empty list lets nobody in");
  else readEntries(reader, fields.get('roles') ?? null, 'rbac.roles', (entry) => readRole(context, entry), draft.roles);
}

function readRole(context: Context, node: Node): Role | null {
  const { reader } = context;
  const fields = reader.map(node, 'a role', ['name', 'members', 'tools', 'agents']);
  if (fields === null) return null;
  const name = readName(context, node, fields, 'rbac.roles');
  const members = required(reader, node, fields, 'members', (value) => readSubjects(reader, value, 'members', true));
  const tools = required(reader, node, fields, 'tools', (value) => readGlobs(reader, value, 'tools'));
  const agents = required(reader, node, fields, 'agents', (value) => readGlobs(reader, value, 'agents'));
  return name === null || members === null || tools === null || agents === null ? null : { name, members, tools, agents };
}

function readScope(context: Context, node: Node): Scope | null {
  const { reader } = context;
  const fields = reader.map(node, 'a scope', ['name', 'tool_pattern', 'field', 'allow_cidr', 'deny_cidr']);
  if (fields === null) return null;
  const name = readName(context, node, fields, 'scopes');
  const pattern = required(reader, node, fields, 'tool_pattern', (value) => readGlob(reader, value, 'tool_pattern'));
  const field = required(reader, node, fields, 'field', (value) => readInputPath(reader, value));
  const allow = optional(fields, 'allow_cidr', (value) => readCidrs(reader, value, 'allow_cidr')) ?? [];
  const deny = optional(fields, 'deny_cidr', (value) => readCidrs(reader, value, 'deny_cidr')) ?? [];
  if (!fields.has('allow_cidr') && !fields.has('deny_cidr')) return reader.report(node, 'a scope needs allow_cidr or deny_cidr');
  if (name === null || pattern === null || field === null) return null;
  return { name, pattern, field, keys: field.split('.').slice(1), allow, deny };
}

function readRule(context: Context, node: Node): EffectRule | null {
  const { reader } = context;
  const fields = reader.map(node, 'a rule', ['name', 'effect', 'on', 'tool_pattern', 'condition', 'reason']);
  if (fields === null) return null;
  const name = readName(context, node, fields, 'rules');
  const effect = required(reader, node, fields, 'effect', (value) => reader.choice(value, 'effect', ['allow', 'deny'] as const));
  const on = fields.has('on') ? reader.choice(fields.get('on') ?? null, 'on', ['think', 'act', 'any'] as const) : 'act';
  const pattern = fields.has('tool_pattern') ? readGlob(reader, fields.get('tool_pattern') ?? null, 'tool_pattern') : parseGlob('*');
  const condition = readCondition(reader, fields);
  const reason = optional(fields, 'reason', (value) => reader.text(value, 'reason', POLICY_LIMITS.reasonChars));
  if (name === null || effect === null || on === null || pattern === null || condition === null) return null;
  if (on !== 'act' && fields.has('tool_pattern')) return reader.report(fields.get('tool_pattern') ?? null, "a think has no tool; write 'on: act' or leave tool_pattern out");
  if (on !== 'act' && condition.needsAct) return reader.report(fields.get('condition') ?? null, "a think has no input and no tool; write 'on: act' or leave them out of the condition");
  return { name, effect, on, pattern, condition, reason };
}

const QUOTA_LIMITS = ['tokens_per_run', 'tokens_per_day', 'calls_per_minute', 'calls_per_day'] as const;

function readQuota(context: Context, node: Node): Quota | null {
  const { reader } = context;
  const fields = reader.map(node, 'a quota', ['name', 'per', 'tool_pattern', ...QUOTA_LIMITS]);
  if (fields === null) return null;
  const name = readName(context, node, fields, 'quotas');
  const per: QuotaSubject | null = fields.has('per') ? reader.choice(fields.get('per') ?? null, 'per', ['tenant', 'user', 'agent', 'run', 'tool'] as const) : 'user';
  const pattern = optional(fields, 'tool_pattern', (value) => readGlob(reader, value, 'tool_pattern'));
  const [tokensPerRun = null, tokensPerDay = null, callsPerMinute = null, callsPerDay = null] = QUOTA_LIMITS.map((limit) =>
    optional(fields, limit, (value) => reader.count(value, limit)),
  );
  if (!QUOTA_LIMITS.some((limit) => fields.has(limit))) return reader.report(node, `a quota needs one of ${QUOTA_LIMITS.join(', ')}`);
  const countsTokens = fields.has('tokens_per_run') || fields.has('tokens_per_day');
  if (countsTokens && (fields.has('tool_pattern') || per === 'tool')) return reader.report(node, 'tokens are used by thinks, not by tools; give calls and tokens a quota each');
  if (name === null || per === null) return null;
  return { name, per, pattern, tokensPerRun, tokensPerDay, callsPerMinute, callsPerDay };
}

/** Constraints of several files add up: the strictest of each holds. */
function readConstraints(context: Context, node: Node): void {
  const { reader, draft } = context;
  const fields = reader.map(node, 'constraints', ['dry_run', 'max_tokens', 'blocked_tools']);
  if (fields === null) return;
  const dryRun = optional(fields, 'dry_run', (value) => reader.flag(value, 'dry_run')) ?? false;
  const maxTokens = optional(fields, 'max_tokens', (value) => reader.count(value, 'max_tokens')) ?? 0;
  const blocked = optional(fields, 'blocked_tools', (value) => readTexts(reader, value, 'blocked_tools')) ?? [];
  const former = draft.constraints;
  draft.constraints = {
    dryRun: former.dryRun || dryRun,
    maxTokens: former.maxTokens === 0 || maxTokens === 0 ? former.maxTokens + maxTokens : Math.min(former.maxTokens, maxTokens),
    blockedTools: [...new Set([...former.blockedTools, ...blocked])].sort(),
  };
}

// Below: single values.

function optional<T>(fields: Fields, key: string, read: (node: Node) => T | null): T | null {
  return fields.has(key) ? read(fields.get(key) ?? null) : null;
}

function required<T>(reader: YamlReader, parent: Node, fields: Fields, key: string, read: (node: Node) => T | null): T | null {
  return fields.has(key) ? read(fields.get(key) ?? null) : reader.report(parent, `'${key}' is missing here`);
}

function readName(context: Context, parent: Node, fields: Fields, section: string): string | null {
  const { reader, draft } = context;
  const name = required(reader, parent, fields, 'name', (node) => reader.text(node, 'name', POLICY_LIMITS.nameChars));
  if (name === null) return null;
  const unique = `${section} ${name}`;
  if (draft.names.has(unique)) return reader.report(fields.get('name') ?? null, `${section} has another entry named '${name}'; give each its own name`);
  draft.names.add(unique);
  return name;
}

function readCondition(reader: YamlReader, fields: Fields): CompiledCondition | null {
  if (!fields.has('condition')) return ALWAYS;
  const node = fields.get('condition') ?? null;
  const source = reader.text(node, "condition (for no condition, write 'always')", POLICY_LIMITS.conditionChars);
  if (source === null) return null;
  try {
    return compileCondition(source);
  } catch (thrown) {
    if (thrown instanceof ConditionError) return reader.reportCondition(node, thrown);
    throw thrown;
  }
}

function readGlob(reader: YamlReader, node: Node, what: string): Glob | null {
  const text = reader.text(node, what, POLICY_LIMITS.globChars);
  if (text === null) return null;
  return parseGlob(text) ?? reader.report(node, `${what} '${text}' is no pattern; only the wildcards * and ? are known, and blanks and commas are not allowed`);
}

function readGlobs(reader: YamlReader, node: Node, what: string): readonly Glob[] {
  return reader.list(node, what).flatMap((item) => readGlob(reader, item, `an entry of ${what}`) ?? []);
}

function readTexts(reader: YamlReader, node: Node, what: string): readonly string[] {
  return reader.list(node, what).flatMap((item) => reader.text(item, `an entry of ${what}`, POLICY_LIMITS.globChars) ?? []);
}

function readInputPath(reader: YamlReader, node: Node): string | null {
  const text = reader.text(node, 'field', POLICY_LIMITS.globChars);
  if (text === null) return null;
  return /^input(?:\.[A-Za-z_][\w-]*)+$/.test(text) ? text : reader.report(node, `'${text}' is no field of the call; write for example input.ip`);
}

function readCidrs(reader: YamlReader, node: Node, what: string): readonly CidrText[] {
  return reader.list(node, what).flatMap((item) => {
    const text = reader.text(item, `an entry of ${what}`, 64);
    if (text === null) return [];
    const range = parseIpRange(text);
    return range === null ? (reader.report(item, `'${text}' is no address block; write for example 10.0.0.0/8 or fc00::/7`) ?? []) : [{ text, range }];
  });
}
