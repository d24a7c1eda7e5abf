import type { Caller } from './port.ts';

/** What a key may be good for; `*` is good for all of it. Each route declares the one that it needs. */
export const SCOPES = [
  'runs:write',
  'runs:read',
  'runs:archive',
  'approvals:read',
  'approvals:decide',
  'agents:read',
  'agents:write',
  'tools:read',
  'plugins:write',
  'policies:read',
  'policies:write',
  'audit:read',
  'feedback:write',
  'triggers:write',
  'schedules:read',
  'schedules:write',
  'knowledge:read',
  'usage:read',
  'models:keys',
  'system:read',
  'act_for_others',
  '*',
] as const;

export type Scope = (typeof SCOPES)[number];

export const isScope = (text: string): text is Scope => (SCOPES as readonly string[]).includes(text);

/** Does the caller's key cover `scope`? */
export function hasScope(caller: Pick<Caller, 'scopes'>, scope: Scope): boolean {
  return caller.scopes.includes('*') || caller.scopes.includes(scope);
}

/** May the caller see and start runs of users other than itself? */
export const actsForOthers = (caller: Pick<Caller, 'scopes'>): boolean => hasScope(caller, 'act_for_others');
