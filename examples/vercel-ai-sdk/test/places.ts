import path from 'node:path';

/** This folder's package, seen from dist/test. */
export const EXAMPLE = path.resolve(import.meta.dirname, '../..');
export const ROOT = path.resolve(EXAMPLE, '../..');
