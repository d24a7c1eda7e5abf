import { describe, expect, it, test } from 'vitest';
import type { ApprovalVerdict, ApprovalVote } from './approval.ts';
import { approversAt, countVote, nextLookAt } from './approval.ts';

const NOON = new Date('2026-11-24T12:00:00.000Z');
const minutesAfter = (minutes: number): Date => new Date(NOON.getTime() + minutes * 60_000);

const vote = (voter: string, verdict: ApprovalVerdict, round = 1): ApprovalVote => ({ voter, verdict, round, callHash: 'h', comment: null, at: NOON });

/** An approval as the store would leave it after these votes. */
function after(minApprovals: number, votes: readonly ApprovalVote[]): Parameters<typeof countVote>[0] {
  const round = votes.reduce((newest, one) => Math.max(newest, one.round), 1);
  return { minApprovals, round, votes, approvalsGiven: votes.filter((one) => one.round === round).length };
}

describe('R6: what a vote comes to', () => {
  test.each<[string, Parameters<typeof countVote>[0], [string, ApprovalVerdict], object]>([
    ['the only one needed', after(1, []), ['bob', 'approve'], { kind: 'decided', status: 'approved', given: 1, round: 1 }],
    ['the first of two', after(2, []), ['bob', 'approve'], { kind: 'voted', given: 1, missing: 1, round: 1 }],
    ['the second of two', after(2, [vote('bob', 'approve')]), ['carol', 'approve'], { kind: 'decided', status: 'approved', given: 2, round: 1 }],
    ['the same person twice', after(2, [vote('bob', 'approve')]), ['bob', 'approve'], { kind: 'repeated', missing: 1 }],
    ['one rejection, after an approval', after(2, [vote('bob', 'approve')]), ['carol', 'reject'], { kind: 'decided', status: 'rejected', given: 1 }],
    ['somebody who has approved rejects', after(3, [vote('bob', 'approve')]), ['bob', 'reject'], { kind: 'decided', status: 'rejected' }],
    ['an edit begins a round with its editor', after(2, [vote('bob', 'approve')]), ['carol', 'edit'], { kind: 'voted', given: 1, missing: 1, round: 2 }],
    ['who approved the call before its edit approves the edited one', after(2, [vote('bob', 'approve'), vote('carol', 'edit', 2)]), ['bob', 'approve'], { kind: 'decided', status: 'approved', given: 2, round: 2 }],
    ['the editor does not count twice', after(2, [vote('carol', 'edit', 2)]), ['carol', 'approve'], { kind: 'repeated', missing: 1 }],
    ['an edit by the only one needed', after(1, []), ['bob', 'edit'], { kind: 'decided', status: 'approved', given: 1, round: 2 }],
    ['making an unknown call again needs as many', after(2, []), ['bob', 'retry'], { kind: 'voted', given: 1, missing: 1 }],
    ['saying that it was made needs one', after(2, []), ['bob', 'mark_done'], { kind: 'decided', status: 'approved' }],
    ['saying that it was not needs one', after(2, []), ['bob', 'fail'], { kind: 'decided', status: 'rejected' }],
  ])('%s', (_name, approval, [voter, verdict], outcome) => {
    expect(countVote(approval, { voter, verdict })).toMatchObject(outcome);
  });

  test('whatever people do, in any order: approved only by enough different people who saw the same call, and never after a rejection', () => {
    const walks = Array.from({ length: 3_000 }, (_, seed) => walk(createRandom(seed + 1)));
    expect(walks.filter(({ isRight }) => !isRight)).toEqual([]);
    expect(walks.filter(({ status }) => status === 'approved').length).toBeGreaterThan(500);
    expect(walks.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(100);
  });
});

/** People vote at random until it is decided; `isRight` by counting, beside the law, who granted the call that waits. */
function walk(random: (below: number) => number): { readonly status: string; readonly isRight: boolean } {
  const minApprovals = 1 + random(4);
  let approval = after(minApprovals, []);
  let granted = new Set<string>();
  for (let turn = 0; turn < 100; turn += 1) {
    const voter = `user-${random(5)}`;
    const verdict = (['approve', 'approve', 'approve', 'edit', 'reject'] as const)[random(random(3) === 0 ? 5 : 3)] ?? 'approve';
    const outcome = countVote(approval, { voter, verdict });
    const isKnown = verdict === 'approve' && granted.has(voter);
    granted = verdict === 'edit' ? new Set([voter]) : verdict === 'approve' ? granted.add(voter) : granted;
    if (outcome.kind === 'decided') return { status: outcome.status, isRight: verdict === 'reject' ? outcome.status === 'rejected' : outcome.status === 'approved' && granted.size === minApprovals };
    if (outcome.kind === 'repeated' || isKnown) {
      if (outcome.kind !== 'repeated' || !isKnown) return { status: 'repeated', isRight: false };
      continue;
    }
    if (outcome.given !== granted.size || outcome.given + outcome.missing !== minApprovals) return { status: 'voted', isRight: false };
    approval = { minApprovals, round: outcome.round, approvalsGiven: outcome.given, votes: [...approval.votes, vote(voter, verdict, outcome.round)] };
  }
  return { status: 'open', isRight: true };
}

describe('escalation', () => {
  const approval = {
    approvers: ['group:ops'],
    expiresAt: minutesAfter(60),
    escalation: [
      { at: minutesAfter(30), approvers: ['group:leads'], recorded: false },
      { at: minutesAfter(45), approvers: ['group:leads', 'user:ciso'], recorded: false },
    ],
  };

  it('adds people at its time, and takes nobody away', () => {
    expect(approversAt(approval, minutesAfter(29.99))).toEqual(['group:ops']);
    expect(approversAt(approval, minutesAfter(30))).toEqual(['group:ops', 'group:leads']);
    expect(approversAt(approval, minutesAfter(50))).toEqual(['group:ops', 'group:leads', 'user:ciso']);
  });

  it('is looked at before the expiry, stage by stage', () => {
    const recorded = (count: number): typeof approval => ({ ...approval, escalation: approval.escalation.map((stage, index) => ({ ...stage, recorded: index < count })) });
    expect(nextLookAt(approval)).toEqual(minutesAfter(30));
    expect(nextLookAt(recorded(1))).toEqual(minutesAfter(45));
    expect(nextLookAt(recorded(2))).toEqual(minutesAfter(60));
    expect(nextLookAt({ ...approval, escalation: [] })).toEqual(minutesAfter(60));
  });
});

/** Mulberry32: a seed gives the same walk again. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}
