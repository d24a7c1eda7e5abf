import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { OTHER_QUESTIONS, SAME_QUESTIONS } from '../testing/question-pairs.ts';
import { UNSEEN_OTHER_QUESTIONS, UNSEEN_SAME_QUESTIONS } from '../testing/unseen-question-pairs.ts';
import { compareStoredFacts, factsOf, GUARD_VERSION, isSameQuestion } from './guard.ts';

describe('the guard of the semantic level', () => {
  it.each(SAME_QUESTIONS)('takes for the same: %s = %s', (a, b) => {
    expect(isSameQuestion(a, b)).toEqual({ same: true });
    expect(isSameQuestion(b, a)).toEqual({ same: true });
  });

  it.each(OTHER_QUESTIONS)('tells apart: %s / %s', (a, b, reason) => {
    const verdict = isSameQuestion(a, b);
    expect(verdict).toMatchObject(reason === null ? { same: false } : { same: false, reason });
    expect(isSameQuestion(b, a)).toEqual(verdict);
  });

  it('takes none of fifty pairs that it was not made for wrongly for the same, and half of twenty rightly', () => {
    const takenOf = (pairs: readonly (readonly [string, string])[]) => pairs.filter(([a, b]) => isSameQuestion(a, b).same);
    expect(takenOf(UNSEEN_OTHER_QUESTIONS)).toEqual([]);
    expect(takenOf(UNSEEN_SAME_QUESTIONS).length).toBeGreaterThanOrEqual(10);
  });

  it('sees the same in stored facts, which are keyed hashes and show no word', () => {
    for (const [a, b] of SAME_QUESTIONS) expect(compareStoredFacts(factsOf(a, 'k'), factsOf(b, 'k'))).toEqual({ same: true });
    for (const [a, b] of OTHER_QUESTIONS) expect(compareStoredFacts(factsOf(a, 'k'), factsOf(b, 'k'))).toEqual(isSameQuestion(a, b));
    const facts = factsOf('Does alice@a.test know password "hunter2"?', 'k');
    expect(facts).toMatch(/^[A-Za-z0-9_ -]+$/);
    expect(facts).not.toMatch(/alice|hunter|password/);
    expect(compareStoredFacts(facts, factsOf('Does alice@a.test know password "hunter2"?', 'other key'))).toMatchObject({ same: false });
    expect(compareStoredFacts(facts, '')).toMatchObject({ same: false });
  });

  it('is another version when it makes other facts: raise GUARD_VERSION with this hash, for facts of two versions are not compared', () => {
    const facts = VERSIONED.map((question) => factsOf(question, 'k')).join('\n');
    expect([GUARD_VERSION, createHash('sha256').update(facts).digest('hex').slice(0, 16)]).toEqual([2, '334b84effbededdc']);
  });

  it('is quick on text that is made to be slow', () => {
    const startedMs = performance.now();
    for (const piece of ['a.', '1.', '::', '_a', '"', '/a', "'a", 'a-', '@', '\\\\', '中', '1,']) isSameQuestion(piece.repeat(1_000), piece.repeat(999));
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});

/** One of each kind of wording. */
const VERSIONED = [
  'Hi, could you please tell me how to reset my passwords?', 'In Okta, how do I reset a password?', 'Steps for password reset', 'What are the steps for deleting users?', 'What is the number of users?', 'How many users are there?', 'Why is the disk full?', 'Who is our IT manager?', "Why can't I log in to example.com with 2FA?", 'Is "access denied" not 15% of 10.0.0.1 or 10 MB?',
  'What does the word on mean?', '请问怎样重置我的密码？', '登录失败的原因', '零信任是什么', '这个漏洞不能修复吗', '所有用户都没有启用吗', '“你好”用日语怎么说',
];
