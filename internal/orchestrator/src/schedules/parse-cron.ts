import { CronExpressionParser } from 'cron-parser';
import { LIMITS, PlatformError } from '@openeaap/kernel';

/** The words that are taken, and what they stand for. */
const WORDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const FIELDS = ['second', 'minute', 'hour', 'day of the month', 'month', 'day of the week'] as const;
const EXAMPLE = 'Write 5 fields (minute hour day-of-month month day-of-week), e.g. "30 2 * * *" for 02:30 each day or "0 9 * * 1-5" for 09:00 on weekdays; 6 fields begin with the second. Or one of @hourly, @daily, @weekly, @monthly, @yearly.';

/** `H` stands for a random value in some dialects: two nodes would not agree on it. */
const RANDOM_VALUE = /(?:^|[\s,])H(?:$|[\s,(/])/i;

/**
 * The one way in for cron text: white space is made single, words are made small, and what cannot
 * be a cron expression, or never comes true, is refused with the reason and an example.
 *
 * @returns the text as it is stored. Errors: invalid_input, field `cron`.
 */
export function parseCron(text: string): string {
  const cron = text.trim().replace(/\s+/g, ' ');
  if (cron.length > LIMITS.cronChars) throw refusal(`it has ${cron.length} characters; at most ${LIMITS.cronChars} are taken`);
  if (cron.startsWith('@')) return parseWord(cron.toLowerCase());
  const fields = cron === '' ? 0 : cron.split(' ').length;
  if (fields < 5 || fields > 6) throw refusal(`it has ${fields} field${fields === 1 ? '' : 's'}`);
  if (RANDOM_VALUE.test(cron)) throw refusal('"H" has no fixed meaning here');
  try {
    // From a fixed time on: whether an expression ever comes true does not depend on today.
    CronExpressionParser.parse(cron, { currentDate: new Date('2000-01-01T00:00:00Z'), tz: 'UTC' }).next();
  } catch (thrown) {
    throw refusal(toReason(thrown, cron.split(' ')));
  }
  return cron;
}

/** What the library is given: it knows fewer words than people do. */
export const expandCron = (cron: string): string => WORDS[cron] ?? cron;

function parseWord(word: string): string {
  if (Object.hasOwn(WORDS, word)) return word;
  throw refusal(`there is no "${word}"`);
}

function refusal(reason: string): PlatformError {
  return new PlatformError('invalid_input', `\`cron\` cannot be used: ${reason}.`, { details: { field: 'cron', cure: EXAMPLE } });
}

/** The library says what is wrong with a field but not which; each is tried alone. */
function toReason(thrown: unknown, fields: readonly string[]): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (message.includes('loop limit') || message.includes('explicit day of month')) return 'no such day ever comes';
  const names = FIELDS.slice(FIELDS.length - fields.length);
  const index = fields.findIndex((field, at) => !isUsable(fields.map((_other, place) => (place === at ? field : '*'))));
  const where = index === -1 ? '' : `the ${names[index] ?? ''} "${fields[index] ?? ''}" is wrong: `;
  return `${where}${message.replace(/^(?:Constraint|Validation) error, |\.$/g, '')}`;
}

function isUsable(fields: readonly string[]): boolean {
  try {
    CronExpressionParser.parse(fields.join(' '), { tz: 'UTC' });
    return true;
  } catch {
    return false;
  }
}
