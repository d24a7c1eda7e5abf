import type { Subject } from './subject.ts';

/** What a check cannot do without. The first that is missing is the reason why it is skipped. */
export type Need =
  /** A fixture tool, by the end of its name: `echo` is conformance_echo. */
  | `tool ${FixtureTool}`
  /** Any tool that only reads. */
  | 'a reading tool'
  /** A step that can be made to take long: conformance_sleep, or a think that sleeps. */
  | 'a slow step'
  /** An agent that follows the table of the agent `conformance`, be it a program or a model. */
  | 'the conformance agent'
  /** The same, as a program: its outputs are exact. */
  | 'a conformance agent that is a program'
  /** The same, thinking by a model: what it asks of the gateway can be seen. */
  | 'an agent that thinks by a model'
  /** Any agent. */
  | 'an agent'
  | 'streaming'
  | 'no streaming'
  /** A token that every call must carry. */
  | 'a token'
  /** The plugin was started by the kit. */
  | 'launch';

export type FixtureTool = 'echo' | 'sleep' | 'fail' | 'crash' | 'count' | 'secret' | 'big' | 'sleeps_seen';

/** One promise of the protocol, and how to see whether it is kept. */
export interface Check {
  /** GROUP.NAME, by which `--only` picks it. */
  readonly name: string;
  /** The promise, in a sentence. */
  readonly promise: string;
  /** The section of docs/plugin-protocol.md that makes it. */
  readonly section: Section;
  readonly needs: readonly Need[];
  /**
   * It starts processes of its own and touches no other; such checks run beside the rest.
   * Otherwise checks run one after the other, since some count what the plugin counts.
   */
  readonly apart?: boolean;
  /** Resolves with what was seen. Throws ConformanceError promise_broken. */
  readonly run: (subject: Subject) => Promise<Seen>;
}

export type Section = 'The life of a connection' | 'A step' | 'Who does what' | 'How a plugin is started' | 'How the file may change' | 'Conformance';

/** `warning`: allowed, but not as it should be. `inapplicable`: there is nothing that could be broken. */
export type Seen = { readonly kind: 'kept' | 'warning' | 'inapplicable'; readonly detail: string };

export const kept = (detail: string): Seen => ({ kind: 'kept', detail });
export const warning = (detail: string): Seen => ({ kind: 'warning', detail });
export const inapplicable = (detail: string): Seen => ({ kind: 'inapplicable', detail });
