import { PlatformError } from '@openeaap/kernel';

const LONGEST_CHARS = 64;

/**
 * An IANA time zone. Short names such as CST are refused: they stand for several zones (China, Chicago,
 * Cuba), and libraries pick one of them silently. So are bare offsets: they know no summer time.
 *
 * @returns the name as it is stored. Errors: invalid_input, field `time_zone`.
 */
export function parseTimeZone(text: string): string {
  const resolved = text.length <= LONGEST_CHARS ? resolve(text) : null;
  if (resolved === null || !(text.includes('/') || resolved === 'UTC')) {
    throw new PlatformError('invalid_input', `\`time_zone\` ${JSON.stringify(text.slice(0, LONGEST_CHARS))} is not the IANA name of a time zone.`, {
      details: { field: 'time_zone', cure: 'Use a name of the form Area/City, e.g. Asia/Shanghai, Europe/Berlin or America/New_York; or UTC.' },
    });
  }
  // Where the zone was only written in other letters. An alias keeps its name: people know their cities.
  return resolved.toLowerCase() === text.toLowerCase() ? resolved : text;
}

function resolve(name: string): string | null {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return null;
  }
}
