import { isIP } from 'node:net';
import { LIMITS, PlatformError } from '@openeaap/kernel';

/** Where the products are. A path in a URL is kept, so that a gateway's prefix works. */
export interface SecurityToolsConfig {
  readonly threatIntelUrl: string;
  readonly cmdbUrl: string;
  readonly firewallUrl: string;
  /** Allows plain http to other hosts than this one; keys and block requests then travel readably. */
  readonly allowInsecure?: boolean;
  /** Time of one call; 10 s if absent, at most `LIMITS.toolTimeoutCeilingMs`. */
  readonly timeoutMs?: number;
}

export interface SecurityToolsOptions {
  readonly threatIntelUrl: URL;
  readonly cmdbUrl: URL;
  readonly firewallUrl: URL;
  readonly timeoutMs: number;
}

/** Lookups answer in well under a second; ten seconds leave room for one slow product without stalling the run. */
const DEFAULT_TIMEOUT_MS = 10_000;

/** Errors: `invalid_input` naming the field and the cure. */
export function parseConfig(config: SecurityToolsConfig): SecurityToolsOptions {
  const insecure = config.allowInsecure === true;
  const timeoutMs = config.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > LIMITS.toolTimeoutCeilingMs) {
    throw refuse('timeoutMs', `is a whole number of milliseconds from 1 to ${LIMITS.toolTimeoutCeilingMs}`);
  }
  return {
    threatIntelUrl: parseUrl('threatIntelUrl', config.threatIntelUrl, insecure),
    cmdbUrl: parseUrl('cmdbUrl', config.cmdbUrl, insecure),
    firewallUrl: parseUrl('firewallUrl', config.firewallUrl, insecure),
    timeoutMs,
  };
}

function parseUrl(field: string, text: string, insecure: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) throw refuse(field, 'is a URL such as https://firewall.example.com');
  if (url.username !== '' || url.password !== '') throw refuse(field, 'holds no user name or password; keys are secrets of the platform');
  if (url.protocol === 'http:' && !insecure && !isLoopback(url.hostname)) {
    throw refuse(field, 'uses https; set allowInsecure if plain http is really meant');
  }
  return url;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));
}

function refuse(field: string, rule: string): PlatformError {
  return new PlatformError('invalid_input', `security-tools: ${field} ${rule}.`, { details: { field } });
}
