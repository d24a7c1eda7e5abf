import { isIP } from 'node:net';
import type { JsonObject } from '@openeaap/kernel';
import type { SimulatedReply, SimulatedRequest, SimulatedRoute } from './simulated-server.ts';
import { badRequest, notFound } from './simulated-server.ts';

export interface FirewallRule {
  readonly ruleId: string;
  readonly ip: string;
  readonly reason: string;
  readonly durationMinutes: number;
  readonly idempotencyKey: string | null;
}

export interface Firewall {
  readonly route: SimulatedRoute;
  /** Rules in force, oldest first. */
  readonly rules: () => readonly FirewallRule[];
  /** How often a rule was really created: what an exactly-once test counts. */
  readonly effects: () => number;
  /** Requests to block, repeats included. */
  readonly blockRequests: () => number;
}

/**
 * `POST /v1/blocks {ip, reason, duration_minutes}`, `GET /v1/blocks`, `DELETE /v1/blocks/{rule_id}`. A repeat with the
 * same `Idempotency-Key` answers the first rule with `duplicate: true` and creates none; the same key for
 * another block is a 409. Without a key every request is a new effect: that is what keys are for.
 */
export function createFirewall(): Firewall {
  const rules = new Map<string, FirewallRule>();
  const byKey = new Map<string, FirewallRule>();
  let created = 0;
  let blockRequests = 0;

  const block = (request: SimulatedRequest): SimulatedReply => {
    blockRequests += 1;
    const wanted = parseBlock(request);
    if (typeof wanted === 'string') return badRequest(wanted);
    const first = wanted.idempotencyKey === null ? undefined : byKey.get(wanted.idempotencyKey);
    if (first !== undefined) {
      const same = first.ip === wanted.ip && first.reason === wanted.reason && first.durationMinutes === wanted.durationMinutes;
      return same ? { status: 200, body: { ...toJson(first), duplicate: true } } : { status: 409, body: { error: 'this Idempotency-Key was used for another block' } };
    }
    created += 1;
    const rule: FirewallRule = { ruleId: `fw-${created}`, ...wanted };
    rules.set(rule.ruleId, rule);
    if (rule.idempotencyKey !== null) byKey.set(rule.idempotencyKey, rule);
    return { status: 201, body: { ...toJson(rule), duplicate: false } };
  };

  return {
    rules: () => [...rules.values()],
    effects: () => created,
    blockRequests: () => blockRequests,
    route: (request) => {
      const [version, kind, ruleId, ...rest] = request.path;
      if (version !== 'v1' || kind !== 'blocks' || rest.length > 0) return notFound('resource');
      if (request.method === 'POST' && ruleId === undefined) return block(request);
      if (request.method === 'GET' && ruleId === undefined) return { status: 200, body: { blocks: [...rules.values()].map(toJson) } };
      if (request.method !== 'DELETE' || ruleId === undefined) return { status: 405, body: { error: 'method not allowed' } };
      return rules.delete(ruleId) ? { status: 200, body: { rule_id: ruleId, deleted: true } } : notFound('rule');
    },
  };
}

function parseBlock({ headers, body }: SimulatedRequest): Omit<FirewallRule, 'ruleId'> | string {
  const { ip, reason, duration_minutes: durationMinutes } = body;
  if (typeof ip !== 'string' || isIP(ip) === 0) return 'ip is not an IP address';
  if (typeof reason !== 'string' || reason === '') return 'reason is missing';
  if (typeof durationMinutes !== 'number' || !Number.isInteger(durationMinutes) || durationMinutes < 1) return 'duration_minutes is not a positive whole number';
  const key = headers['idempotency-key'];
  return { ip, reason, durationMinutes, idempotencyKey: typeof key === 'string' && key !== '' ? key : null };
}

function toJson({ ruleId, ip, reason, durationMinutes }: FirewallRule): JsonObject {
  return { rule_id: ruleId, ip, reason, duration_minutes: durationMinutes, status: 'blocked' };
}
