import type { JsonObject } from '@openeaap/kernel';
import { PlatformError } from '@openeaap/kernel';
import type { Scanner } from '@openeaap/security';
import type { Access } from '../access.ts';
import type { ModelRequest } from '../request/model-request.ts';
import { createAnswerRestorer } from './create-answer-restorer.ts';
import type { EgressFact, EgressGuard, EgressPass } from './egress-guard.ts';
import { createPlaceholders, REDACTED } from './placeholders.ts';
import type { Placeholders } from './placeholders.ts';
import { scanBody, Unscannable } from './scan-body.ts';
import type { Edit } from './scan-body.ts';
import { createTextRestorer } from './restore-text.ts';
import { replaceAt } from './walk-json.ts';

export interface EgressGuardDeps {
  /** Of the policy as it is now: asked for at each request, so keep one for each policy (it remembers what is clean). */
  readonly scanner: () => Scanner;
  /** Key of the placeholders' hashes, at least 16 bytes. Nodes with the same key make the same placeholders. */
  readonly placeholderKey: string | Uint8Array;
}

type EgressBackend = Parameters<EgressGuard['prepare']>[2];

const KEY_BYTES = 16;

/** @throws RangeError when the key is short. */
export function createEgressGuard({ scanner, placeholderKey }: EgressGuardDeps): EgressGuard {
  if (Buffer.byteLength(placeholderKey) < KEY_BYTES) throw new RangeError(`placeholderKey must have at least ${KEY_BYTES} bytes`);
  return {
    prepare: (request, access, backend) => {
      refuseConfidential(access, backend);
      try {
        return pass({ request, access, backend }, { scanner: scanner(), placeholderKey });
      } catch (thrown) {
        throw toDenial(thrown, backend);
      }
    },
  };
}

interface Egress {
  readonly request: ModelRequest;
  readonly access: Access;
  readonly backend: EgressBackend;
}

function pass(egress: Egress, { scanner, placeholderKey }: { readonly scanner: Scanner; readonly placeholderKey: string | Uint8Array }): EgressPass {
  const { request, access } = egress;
  const { edits, found, taken } = scanBody(request.text, request.body, scanner);
  if (edits.length === 0) return { request, restorer: () => null, fact: toFact(egress, { decision: 'clean', found, text: request.text }) };
  const placeholders = createPlaceholders({ key: placeholderKey, tenantId: access.tenantId, taken });
  const text = applyEdits(request.text, edits, placeholders);
  // Only removals: there is nothing to put back.
  const texts = placeholders.originals.size === 0 ? null : createTextRestorer(placeholders);
  const masked: ModelRequest = { ...request, text, body: JSON.parse(text) as JsonObject };
  return {
    request: masked,
    restorer: () => (texts === null ? null : createAnswerRestorer(texts, request)),
    fact: toFact(egress, { decision: 'masked', found, text }),
  };
}

/** Each changed literal is written anew, as a text; every other character stays as it was. */
function applyEdits(text: string, edits: readonly Edit[], placeholders: Placeholders): string {
  return replaceAt(text, edits.map((edit) => ({ ...edit.place, text: JSON.stringify(valueOf(edit, placeholders)) })));
}

function valueOf(edit: Edit, placeholders: Placeholders): string {
  if (edit.kind === 'nested') return applyEdits(edit.value, edit.edits, placeholders);
  return replaceAt(
    edit.value,
    edit.findings.map(({ start, end, rule, action }) => ({ start, end, text: action === 'redact' ? REDACTED : placeholders.of(edit.value.slice(start, end), rule) })),
  );
}

/** The fleet plans no external backend for it; this holds when a plan was wrong. A label that nobody knows counts as the highest. */
function refuseConfidential({ sensitivity = 1 }: Access, backend: EgressBackend): void {
  if (sensitivity === 1 || sensitivity === 2) return;
  throw new PlatformError('policy_denied', `What this request was made from is Confidential, and the backend "${backend.name}" is outside. Ask a backend of the house.`, {
    details: { reason: 'confidential', backend: backend.name },
  });
}

/** Whatever went wrong while looking, nothing is sent. The cause stays inside: it may hold a piece of the body. */
function toDenial(thrown: unknown, { name }: EgressBackend): PlatformError {
  const isKnown = thrown instanceof Unscannable;
  const field = isKnown ? thrown.field : '';
  const what = isKnown ? `${field === '' ? '' : `'${field}': `}${thrown.what}` : 'The body';
  return new PlatformError('policy_denied', `${what} cannot be looked through for personal data, and the backend "${name}" is outside. Leave it out, or ask a backend of the house.`, {
    details: { reason: 'unscannable_content', backend: name, field },
    cause: thrown,
  });
}

interface Seen {
  readonly decision: EgressFact['decision'];
  readonly found: EgressFact['found'];
  /** As sent; null: nothing was. */
  readonly text: string | null;
  readonly reason?: string;
}

function toFact({ request, access, backend }: Egress, { decision, found, text, reason }: Seen): EgressFact {
  return { access, backend: backend.name, host: hostOf(backend.endpoint), kind: request.kind, decision, found, bytes: text === null ? 0 : Buffer.byteLength(text), reason: reason ?? null };
}

/** The fact of a request that `prepare`, or the fleet before it, refused with `error`. */
export function toDeniedFact(egress: Egress, error: PlatformError): EgressFact {
  const { reason } = error.details;
  return toFact(egress, { decision: 'denied', found: {}, text: null, reason: typeof reason === 'string' ? reason : error.code });
}

export function hostOf(endpoint: string): string {
  return URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
}
