import { readFile } from 'node:fs/promises';

export interface FollowedFile {
  readonly stop: () => void;
}

export interface FollowOptions {
  readonly file: string;
  /** The text that is in use now. */
  readonly text: string;
  readonly intervalMs: number;
  /** Takes a new text into use. Its error is told, once for each text, and the old one stays in use. A file that cannot be read is told once too. */
  readonly apply: (text: string) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/**
 * Looks at a file's text in an interval. Not by file events: a Kubernetes ConfigMap changes by a
 * symbolic link two folders up, and network folders send none.
 */
export function followFile({ file, text, intervalMs, apply, onError }: FollowOptions): FollowedFile {
  let seen = text;
  let isStopped = false;
  let isReadable = true;
  let latest = text;
  let timer: NodeJS.Timeout;
  const look = async (): Promise<void> => {
    const now = await readFile(file, 'utf8').catch((thrown: unknown) => {
      if (isReadable) onError(thrown);
      return null;
    });
    isReadable = now !== null;
    // Only what stood there twice: half of a file may be valid too, while the rest is being written.
    const isWhole = now === latest;
    latest = now ?? latest;
    if (now !== null && isWhole && now !== seen && !isStopped) {
      seen = now;
      await apply(now).catch(onError);
    }
    if (!isStopped) timer = setTimeout(() => void look(), intervalMs).unref();
  };
  timer = setTimeout(() => void look(), intervalMs).unref();
  return {
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
