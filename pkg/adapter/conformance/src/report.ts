import type { HandshakeResponse } from '@openeaap/proto';
import { shorten } from './answer-text.ts';
import type { Check } from './check.ts';
import type { TestedAgent } from './subject.ts';

export interface Result {
  readonly check: Check;
  readonly verdict: 'passed' | 'warned' | 'failed' | 'skipped';
  /** Of a skipped one: what the check needs is not offered by the plugin (counts with --strict), or there is nothing that could be broken. */
  readonly reason: 'not_offered' | 'not_applicable' | null;
  readonly detail: string;
  /** Of a failed one. */
  readonly expected: string;
  readonly got: string;
  readonly durationMs: number;
}

export interface Report {
  readonly address: string;
  readonly launched: boolean;
  readonly offer: HandshakeResponse;
  readonly agent: TestedAgent | null;
  readonly results: readonly Result[];
}

export interface Counts {
  readonly passed: number;
  readonly warned: number;
  readonly failed: number;
  readonly skipped: number;
  /** Of the skipped ones: those that the plugin offers nothing for. */
  readonly notOffered: number;
}

export function countResults({ results }: Report): Counts {
  const count = (verdict: Result['verdict']): number => results.filter((result) => result.verdict === verdict).length;
  return { passed: count('passed'), warned: count('warned'), failed: count('failed'), skipped: count('skipped'), notOffered: results.filter(({ reason }) => reason === 'not_offered').length };
}

/** 0: all promises that could be tested are kept; with `strict` all could be. */
export function exitCodeOf(report: Report, strict: boolean): 0 | 1 {
  const { failed, notOffered } = countResults(report);
  return failed > 0 || (strict && notOffered > 0) ? 1 : 0;
}

const MARK: Readonly<Record<Result['verdict'], string>> = { passed: 'ok', warned: 'warn', failed: 'FAIL', skipped: 'skip' };
const INDENT = '        ';

/** For people: a line for each check, with what was expected and what came where a promise is broken. */
export function toTable(report: Report, strict: boolean): string {
  const { offer, agent } = report;
  const sdk = offer.sdk === undefined ? 'no SDK' : `SDK ${offer.sdk.language} ${offer.sdk.version}`;
  const head = [
    `plugin  ${offer.name} ${offer.version} (${sdk}) at ${report.address}`,
    `offers  ${offer.tools.length} tools, ${offer.agents.length} agents${offer.streaming ? ', streaming' : ''}`,
    `agent   ${agent === null ? 'none is tested' : `${agent.name}, ${NATURE[agent.nature]}`}`,
  ];
  const width = Math.max(...report.results.map(({ check }) => check.name.length));
  return printable([...head, '', ...report.results.flatMap((result) => toLines(result, width)), '', summaryOf(report, strict), ''].join('\n'));
}

const NATURE = { program: 'a program', model: 'thinks by a model', other: 'of its own kind' } as const;

function toLines(result: Result, width: number): readonly string[] {
  const { check, verdict, detail, expected, got } = result;
  const line = `${MARK[verdict].padEnd(4)}  ${check.name.padEnd(width)}  `;
  if (verdict !== 'failed') return [`${line}${shorten(detail.replaceAll('\n', ' '))}`];
  return [`${line}${check.promise}`, `${INDENT}expected  ${expected}`, `${INDENT}got       ${got.replaceAll('\n', `\n${INDENT}          `)}`, `${INDENT}see       ${placeOf(check)}`];
}

function summaryOf(report: Report, strict: boolean): string {
  const { passed, warned, failed, skipped, notOffered } = countResults(report);
  const counts = `${passed} kept, ${failed} broken, ${warned} warnings, ${skipped} skipped`;
  return notOffered === 0 ? counts : `${counts} (${notOffered} for lack of conformance tools or an agent${strict ? ', which --strict does not allow' : ''})`;
}

const placeOf = ({ section }: Check): string => `docs/plugin-protocol.md, "${section}"`;

/** What a plugin says may hold anything; a terminal must not obey it. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd');
}

/** For machines; snake_case, one document. */
export function toJson(report: Report, strict: boolean): string {
  const { offer, agent } = report;
  const { notOffered, ...counts } = countResults(report);
  const document = {
    openeaap_conformance: 1,
    protocol_version: 1,
    ok: exitCodeOf(report, strict) === 0,
    strict,
    address: report.address,
    launched: report.launched,
    plugin: { name: offer.name, version: offer.version, sdk: offer.sdk ?? null, streaming: offer.streaming, tools: offer.tools.map(({ name }) => name), agents: offer.agents.map(({ name }) => name) },
    agent: agent === null ? null : { name: agent.name, nature: agent.nature },
    summary: { ...counts, not_offered: notOffered },
    checks: report.results.map(({ check, verdict, reason, detail, expected, got, durationMs }) => ({
      name: check.name, verdict, promise: check.promise, detail, place: placeOf(check), duration_ms: durationMs,
      ...(reason === null ? {} : { reason }),
      ...(verdict === 'failed' ? { expected, got } : {}),
    })),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
