import type { Sensitivity } from './principal.ts';

/** A piece of knowledge that a call returned: where a conclusion comes from (document section 5.2). */
export interface LineageRef {
  readonly chunkId: string;
  /** Title of the document and heading of the chunk, for people. */
  readonly title: string;
  /** Where the document was loaded from, e.g. `sops/anomalous-login.md`. */
  readonly source: string;
  readonly score: number;
  /** Label of the chunk. Not set: whoever named it does not know. */
  readonly sensitivity?: Sensitivity;
}
