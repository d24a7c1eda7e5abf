import { hash, randomBytes } from 'node:crypto';

/** Recognisable to secret scanners and told apart from keys of the REST API (`oea_`) and credentials of steps (`step-`). */
const PREFIX = 'oek_';
const RANDOM_BYTES = 32;
const SHAPE = /^oek_[A-Za-z0-9_-]{43}$/;
const SHOWN_CHARS = 12;

export interface ModelKeySecret {
  /** Shown once. */
  readonly secret: string;
  /** Lower-case hex SHA-256: all that is kept. 32 random bytes need no slow hash. */
  readonly hash: string;
  /** 48 of its 256 random bits, for people to tell keys apart. */
  readonly prefix: string;
}

export function newModelKeySecret(random: (bytes: number) => Buffer = randomBytes): ModelKeySecret {
  const secret = `${PREFIX}${random(RANDOM_BYTES).toString('base64url')}`;
  return { secret, hash: hashModelKey(secret), prefix: secret.slice(0, SHOWN_CHARS) };
}

/** Could it be one? Nothing else need be looked up. */
export const isModelKey = (credential: string): boolean => SHAPE.test(credential);

export const hashModelKey = (secret: string): string => hash('sha256', secret, 'hex');
