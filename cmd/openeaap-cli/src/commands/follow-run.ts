import type { JsonValue } from '@openeaap/kernel';
import type { ApiClient } from '../api-client.ts';
import { toCliError } from '../cli-error.ts';
import { cutToWidth } from '../display-width.ts';
import { toEventText } from '../event-text.ts';
import { EXIT } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import { toPrintable } from '../printable.ts';
import type { Session } from '../session.ts';
import { blockOf, fieldOf } from '../view.ts';
import type { WatchedEvent } from '../watch-run.ts';
import { watchRun } from '../watch-run.ts';

/** Columns of an event's line where stdout is no terminal. */
const LINE_COLUMNS = 240;
const TYPE_COLUMNS = 23;
const TIME_COLUMNS = 9;

export interface Follow {
  readonly runId: string;
  readonly after: number;
  readonly deltas: boolean;
}

/** Prints a run's events until it ends, then its output. Ctrl-C leaves the run alone. */
export async function followRun(session: Session, api: ApiClient, follow: Follow): Promise<ExitCode> {
  const { io, out } = session;
  const seen = { seq: follow.after, output: null as JsonValue };
  try {
    const status = await watchRun({
      api,
      clock: io.clock,
      signal: io.signal,
      runId: follow.runId,
      after: follow.after,
      onNotice: out.note,
      onEvent: async (event) => {
        if (event.seq === null && !follow.deltas) return;
        seen.seq = event.seq ?? seen.seq;
        if (event.type === 'run_completed') seen.output = fieldOf(event.data, 'output') ?? null;
        await out.item({ run_id: follow.runId, seq: event.seq, type: event.type, at: event.at, data: event.data }, () => toLine(session, event));
      },
    });
    // A line shows the beginning of the answer only; in JSON all of it is in the last event.
    if (!out.json && seen.output !== null) await out.item(seen.output, (view) => `\n${blockOf(view)}`);
    out.note(`Run ${follow.runId} ended: ${status}.`);
    return status === 'completed' ? EXIT.ok : EXIT.runNotCompleted;
  } catch (thrown) {
    const error = toCliError(thrown);
    if (error.code === 'interrupted' || error.code === 'unreachable') {
      out.note(`The run was left alone. Go on watching with: openeaap run watch ${follow.runId} --after ${seen.seq}`);
    }
    throw error;
  }
}

function toLine({ io, out }: Session, event: WatchedEvent): string {
  const type = toPrintable(event.type);
  const at = toPrintable(event.at);
  const room = (io.columns ?? LINE_COLUMNS) - TIME_COLUMNS - TYPE_COLUMNS - 2;
  const text = cutToWidth(toEventText(event.type, event.data).replaceAll('\n', ' '), Math.max(20, room));
  return `${out.colors.dim(`${at.slice(11, 19)}Z`)} ${colorOf(event.type, out.colors)(type.padEnd(TYPE_COLUMNS))} ${text}`.trimEnd();
}

function colorOf(type: string, colors: Session['out']['colors']): (text: string) => string {
  if (type === 'run_completed') return colors.green;
  if (type === 'run_failed' || type === 'run_cancelled') return colors.red;
  return type === 'governance_intervention' || type === 'run_paused' ? colors.yellow : colors.cyan;
}
