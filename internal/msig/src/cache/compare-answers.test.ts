import { describe, expect, it } from 'vitest';
import { replyWith } from '../testing/cache-calls.ts';
import { compareAnswers } from './compare-answers.ts';
import { keepAnswer } from './kept-answer.ts';

describe('the estimate whether two answers say the same', () => {
  const said = (text: string) => keepAnswer(replyWith(text), [], { keptAtMs: 0, untilMs: 1 });
  const long = 'Open the portal, choose your account, then the page of security, and follow what it says there. '.repeat(50);

  it.each([
    ['another name', 'Your manager is Alice of the team in Berlin.', 'Your manager is Bob of the team in Berlin.'],
    ['another number', 'It takes about 10 minutes to restart.', 'It takes about 20 minutes to restart.'],
    ['another address', 'The host is 10.0.0.1 in this network.', 'The host is 10.0.0.2 in this network.'],
    ['another quotation', 'Choose "delete all" in the menu there.', 'Choose "delete none" in the menu there.'],
    ['a negation', 'You may delete the logs of last year.', 'You may not delete the logs of last year.'],
    ['roles turned around', 'In this case the client attacks the server.', 'In this case the server attacks the client.'],
    ['names turned around', 'There it is Alice who reports to Bob.', 'There it is Bob who reports to Alice.'],
    ['another end', `${long}Then delete the account of Alice.`, `${long}Then delete the account of Bob.`],
    ['an end that goes on', long, long + long],
    ['a difference in what is too long to be looked into', `${long.repeat(5)} yes`, `${long.repeat(5)} well`],
  ])('sees %s', (_name, a, b) => {
    expect(compareAnswers(said(a), said(b)).isAgreed).toBe(false);
  });

  it('sees the same in the same text, and in a little other wording', () => {
    expect(compareAnswers(said(long.repeat(5)), said(long.repeat(5)))).toEqual({ isAgreed: true, overlap: 1 });
    expect(compareAnswers(said('Open the portal and choose reset, then type a new password.'), said('Open the portal, then choose reset and type the new password.')).isAgreed).toBe(true);
  });
});
