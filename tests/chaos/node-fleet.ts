import type { DataFolder } from '../e2e/harness/data-folder.ts';
import { createDataFolder } from '../e2e/harness/data-folder.ts';
import type { Platform, PlatformOptions } from '../e2e/harness/start-platform.ts';
import { startPlatform } from '../e2e/harness/start-platform.ts';

/** A node that was killed, and when (Date.now()). */
export interface Death {
  readonly slot: number;
  readonly pid: number;
  readonly at: number;
}

/** When a node answered. */
export interface Uptime {
  readonly slot: number;
  readonly from: number;
  /** null: it still does. */
  to: number | null;
}

/** N places for a node each, kept filled as an orchestrator of containers does: what ends is started again. */
export interface NodeFleet {
  /** Nodes that answer now. */
  readonly up: () => readonly Platform[];
  readonly upSlots: () => readonly number[];
  /** SIGKILL; started again after `downMs`. null: none was up there. */
  readonly kill: (slot: number, downMs: number) => Promise<Death | null>;
  /** SIGTERM, waits for the exit, and starts the successor; the exit code. */
  readonly roll: (slot: number) => Promise<number | null>;
  readonly uptimes: () => readonly Uptime[];
  /** Starts that failed because the database was away, by what they said; they were tried again. */
  readonly failedStarts: () => readonly string[];
  /** Nodes that ended by themselves after they had been up, with the end of what they said. */
  readonly unexpectedExits: () => readonly string[];
  /** Resolves when all places are filled. */
  readonly allUp: () => Promise<void>;
  readonly close: () => Promise<void>;
}

const RETRY_START_MS = 500;
/** Of what a node has said that did not start. */
const SAID_CHARS = 2_000;
/** More than a database can be away while a node tries to start. */
const STARTS_LIMIT = 60;

interface Slot {
  readonly folder: DataFolder;
  platform: Platform | null;
  uptime: Uptime | null;
  /** The start that is under way, or the last one. */
  starting: Promise<void>;
  /** Its end is ours to answer for. */
  isEnding: boolean;
}

export async function startNodeFleet(size: number, options: Omit<PlatformOptions, 'folder'>): Promise<NodeFleet> {
  const slots: Slot[] = [];
  const uptimes: Uptime[] = [];
  const unexpectedExits: string[] = [];
  const failedStarts: string[] = [];
  const closing = new AbortController();

  async function start(no: number, slot: Slot, downMs: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, downMs));
    for (let tries = 1; !closing.signal.aborted; tries += 1) {
      try {
        const platform = await startPlatform({ ...options, folder: slot.folder });
        if (closing.signal.aborted) return await platform.kill();
        slot.isEnding = false;
        slot.platform = platform;
        slot.uptime = { slot: no, from: Date.now(), to: null };
        uptimes.push(slot.uptime);
        void platform.exited.then(({ code, signal }) => onExit(no, slot, platform, `exit code ${String(code)}, signal ${String(signal)}`));
        return;
      } catch (error) {
        failedStarts.push(String(error).slice(0, SAID_CHARS));
        if (tries >= STARTS_LIMIT) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_START_MS));
      }
    }
  }

  function onExit(no: number, slot: Slot, platform: Platform, how: string): void {
    markDown(slot);
    if (slot.isEnding || closing.signal.aborted) return;
    unexpectedExits.push(`node ${no} ended by itself (${how}): ${platform.stderr().slice(-1_000)}`);
    slot.starting = start(no, slot, 0);
    slot.starting.catch(() => undefined);
  }

  function markDown(slot: Slot): void {
    slot.platform = null;
    if (slot.uptime !== null) slot.uptime.to ??= Date.now();
  }

  for (let no = 0; no < size; no += 1) slots.push({ folder: await createDataFolder(), platform: null, uptime: null, starting: Promise.resolve(), isEnding: false });
  const close = async (): Promise<void> => {
    closing.abort();
    await Promise.all(slots.flatMap(({ platform }) => (platform === null ? [] : [platform.kill()])));
    await Promise.all(slots.map(({ starting }) => starting.catch(() => undefined)));
    await Promise.all(slots.map(({ folder }) => folder.remove()));
  };
  try {
    // One after the other: the first one makes the tables.
    for (const [no, slot] of slots.entries()) await start(no, slot, 0);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    up: () => slots.flatMap(({ platform }) => (platform === null ? [] : [platform])),
    upSlots: () => slots.flatMap(({ platform }, no) => (platform === null ? [] : [no])),
    kill: async (no, downMs) => {
      const slot = slots[no];
      const platform = slot?.platform ?? null;
      if (slot === undefined || platform === null) return null;
      slot.isEnding = true;
      markDown(slot);
      const at = Date.now();
      await platform.kill();
      slot.starting = start(no, slot, downMs);
      slot.starting.catch(() => undefined);
      return { slot: no, pid: platform.pid, at };
    },
    roll: async (no) => {
      const slot = slots[no];
      const platform = slot?.platform ?? null;
      if (slot === undefined || platform === null) throw new Error(`node ${no} is not up`);
      slot.isEnding = true;
      markDown(slot);
      const code = await platform.stop();
      slot.starting = start(no, slot, 0);
      await slot.starting;
      return code;
    },
    uptimes: () => uptimes,
    failedStarts: () => failedStarts,
    unexpectedExits: () => unexpectedExits,
    allUp: async () => {
      await Promise.all(slots.map(({ starting }) => starting));
    },
    close,
  };
}
