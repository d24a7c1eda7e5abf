import { at, listAt, textAt } from '../e2e/harness/json.ts';
import type { PatientClient } from './patient-client.ts';
import type { SideEffectSink } from './side-effect-sink.ts';

/**
 * The people who decide: they open gates, and when nobody knows whether a call was made they look at
 * the firewall itself, as a person on duty would.
 */
export interface ScriptedPerson {
  readonly counts: () => PersonCounts;
  /** Decides what waits now; how many were decided. */
  readonly decideAll: () => Promise<number>;
}

export interface PersonCounts {
  readonly approved: number;
  readonly rejected: number;
  /** Uncertain outcomes, and what the firewall said about them. */
  readonly markedDone: number;
  readonly retried: number;
  /** Decisions that came too late: the same person's, whose answer was lost, or the run had ended. */
  readonly late: number;
}

export function createScriptedPerson(client: PatientClient, sink: SideEffectSink, shouldReject: (ip: string) => boolean = () => false): ScriptedPerson {
  const counts = { approved: 0, rejected: 0, markedDone: 0, retried: 0, late: 0 };
  /** A person who was told that it is too late does not ask again. */
  const refused = new Set<string>();

  async function decide(approval: unknown): Promise<void> {
    const ip = textAt(approval, 'args', 'ip');
    const verdict = at(approval, 'kind') === 'uncertain' ? (sink.requestsFor(ip).length > 0 ? 'mark_done' : 'retry') : shouldReject(ip) ? 'reject' : 'approve';
    const { status, body } = await client.post(`/approvals/${textAt(approval, 'approval_id')}/decide`, { verdict, ...(verdict === 'reject' ? { comment: 'not this one' } : {}) });
    // 409: it has been decided, perhaps by a request of ours whose answer was lost, or its run has ended.
    if (status !== 200 && status !== 409) throw new Error(`a decision was answered ${status}: ${JSON.stringify(body)}`);
    if (status === 409) refused.add(textAt(approval, 'approval_id'));
    counts[status === 409 ? 'late' : COUNTED[verdict]] += 1;
  }

  return {
    counts: () => ({ ...counts }),
    decideAll: async () => {
      const { status, body } = await client.get('/approvals?status=pending&limit=200');
      if (status !== 200) throw new Error(`the approvals could not be listed: ${status} ${JSON.stringify(body)}`);
      const waiting = listAt(body, 'items').filter((approval) => !refused.has(textAt(approval, 'approval_id')));
      for (const approval of waiting) await decide(approval);
      return waiting.length;
    },
  };
}

const COUNTED = { approve: 'approved', reject: 'rejected', mark_done: 'markedDone', retry: 'retried' } as const;
