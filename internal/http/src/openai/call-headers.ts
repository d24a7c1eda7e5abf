import type { IncomingHttpHeaders } from 'node:http';
import { PlatformError } from '@openeaap/kernel';
import type { Sensitivity } from '@openeaap/kernel';
import type { OpenAiCacheControl, OpenAiCall } from './port.ts';

/** No credential that we make is longer; a longer one need not be looked up. */
const CREDENTIAL_CHARS = 512;
const AGENT_CHARS = 200;
/** A year, as HTTP caches have it. */
const AGE_MAX_S = 31_536_000;

/** `authorization: Bearer`, or `api-key` as clients of Azure send it; null: none that could open anything. Errors: `unauthenticated` where there is neither. */
export function readCredential(headers: IncomingHttpHeaders): string | null {
  const { authorization } = headers;
  const azure = headers['api-key'];
  const credential = authorization === undefined ? (typeof azure === 'string' ? azure : undefined) : /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  if (credential === undefined || credential === '') {
    throw new PlatformError('unauthenticated', 'This request has no credential. Send the header Authorization: Bearer, with a key of this gateway, or with what the step was given as OPENEAAP_MODEL_TOKEN.');
  }
  return credential.length > CREDENTIAL_CHARS ? null : credential;
}

/** Errors: `invalid_input`, with the header as the field. */
export function readCallHeaders(headers: IncomingHttpHeaders): Pick<OpenAiCall, 'traceparent' | 'cacheControl' | 'sensitivity' | 'agent'> {
  const traceparent = headers['traceparent'];
  return {
    traceparent: typeof traceparent === 'string' ? traceparent : null,
    cacheControl: readCacheControl(headers),
    sensitivity: readSensitivity(headers),
    agent: readAgent(headers),
  };
}

const AS_CONFIGURED: OpenAiCacheControl = { read: true, write: true, maxAgeMs: null, ttlMs: null, semantic: null };

/** `x-openeaap-cache` is ours; `cache-control` is what any HTTP client may send, whose other directives say nothing to us. */
function readCacheControl(headers: IncomingHttpHeaders): OpenAiCacheControl {
  const { 'cache-control': standard, 'x-openeaap-cache': own, 'x-openeaap-cache-ttl': ttl } = headers;
  if (standard === undefined && own === undefined && ttl === undefined) return AS_CONFIGURED;
  const words = (value: string | readonly string[] | undefined): readonly string[] => String(value ?? '').toLowerCase().split(',').map((word) => word.trim()).filter((word) => word !== '');
  const asked = words(standard).reduce(withDirective, AS_CONFIGURED);
  const said = words(own).reduce(withWord, asked);
  return ttl === undefined ? said : { ...said, ttlMs: readSeconds('x-openeaap-cache-ttl', String(ttl)) * 1_000 };
}

function withDirective(control: OpenAiCacheControl, directive: string): OpenAiCacheControl {
  if (directive === 'no-cache') return { ...control, read: false };
  if (directive === 'no-store') return { ...control, write: false };
  const age = /^max-age=(.*)$/.exec(directive)?.[1];
  return age === undefined ? control : { ...control, maxAgeMs: readSeconds('cache-control', age) * 1_000 };
}

const WORDS: Readonly<Record<string, Partial<OpenAiCacheControl>>> = {
  on: { read: true, write: true },
  off: { read: false, write: false },
  refresh: { read: false, write: true },
  'read-only': { read: true, write: false },
  semantic: { semantic: true },
  exact: { semantic: false },
};

function withWord(control: OpenAiCacheControl, word: string): OpenAiCacheControl {
  const change = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  if (change === undefined) throw wrong('x-openeaap-cache', `must be of ${Object.keys(WORDS).join(', ')}`);
  return { ...control, ...change };
}

function readSeconds(header: string, value: string): number {
  if (!/^\d{1,10}$/.test(value)) throw wrong(header, 'must say a whole number of seconds');
  return Math.min(Number(value), AGE_MAX_S);
}

const SENSITIVITIES: Readonly<Record<string, Sensitivity>> = { public: 1, internal: 2, confidential: 3 };

function readSensitivity(headers: IncomingHttpHeaders): Sensitivity | null {
  const value = headers['x-openeaap-sensitivity'];
  if (value === undefined) return null;
  const word = String(value).toLowerCase();
  const sensitivity = Object.hasOwn(SENSITIVITIES, word) ? SENSITIVITIES[word] : undefined;
  if (sensitivity === undefined) throw wrong('x-openeaap-sensitivity', 'must be public, internal or confidential');
  return sensitivity;
}

function readAgent(headers: IncomingHttpHeaders): string | null {
  const value = headers['x-openeaap-agent'];
  if (value === undefined || value === '') return null;
  if (typeof value !== 'string' || !/^[\w.:@/-]+$/.test(value) || value.length > AGENT_CHARS) throw wrong('x-openeaap-agent', `must be the name of an agent: at most ${AGENT_CHARS} letters, digits and . _ - : @ /`);
  return value;
}

function wrong(header: string, problem: string): PlatformError {
  return new PlatformError('invalid_input', `The header ${header} ${problem}.`, { details: { field: header } });
}
