// node bench/semantic/make-pairs.mjs: writes bench/data/question-pairs.jsonl, one pair a line: a, b, same, family, lang, origin.
// The same file each time.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { OTHER_BY_HAND } from './other-by-hand.mjs';
import { SAME_BY_HAND } from './same-by-hand.mjs';
import { makeTemplatePairs } from './templates.mjs';

const byHand = (rows, same) => rows.map(([family, lang, a, b]) => ({ a, b, same, family, lang, origin: 'hand' }));
const pairs = [...byHand(SAME_BY_HAND, true), ...byHand(OTHER_BY_HAND, false), ...makeTemplatePairs()];
const target = new URL('../data/question-pairs.jsonl', import.meta.url);
mkdirSync(new URL('.', target), { recursive: true });
writeFileSync(target, pairs.map(({ a, b, same, family, lang, origin }) => `${JSON.stringify({ a, b, same, family, lang, origin })}\n`).join(''));
console.log(`${pairs.length} pairs, ${pairs.filter(({ same }) => same).length} of them the same, in ${fileURLToPath(target)}`);
