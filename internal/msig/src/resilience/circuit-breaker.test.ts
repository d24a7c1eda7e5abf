import { describe, expect, it } from 'vitest';
import { createCircuitBreaker } from './circuit-breaker.ts';
import type { Verdict } from './judge-outcome.ts';

function setUp({ failures = 3, openMs = 1_000, random = (): number => 0 } = {}) {
  let nowMs = 0;
  const states: string[] = [];
  const breaker = createCircuitBreaker({ failures, openMs }, { now: () => nowMs, random, onState: (state) => void states.push(state) });
  return {
    breaker,
    states,
    pass: (ms: number) => {
      nowMs += ms;
    },
    tell: (...verdicts: readonly Verdict[]) => verdicts.forEach((verdict) => breaker.note(verdict, breaker.enter())),
  };
}

describe('a circuit breaker', () => {
  it('opens after so many failures in a row, and no success between is forgiven', () => {
    const { breaker, tell } = setUp();
    tell('failed', 'failed', 'ok', 'failed', 'failed');
    expect(breaker.admits()).toBe('yes');
    tell('failed');
    expect([breaker.state(), breaker.admits(), breaker.reopensInMs()]).toEqual(['open', 'no', 1_000]);
  });

  it('opens when more than half of the last twenty failed, however they lie', () => {
    const { breaker, tell } = setUp({ failures: 100 });
    for (let each = 0; each < 10; each += 1) tell('ok', 'failed');
    expect(breaker.admits()).toBe('yes');
    tell('failed');
    expect(breaker.admits()).toBe('no');
  });

  it('learns nothing from what was ended', () => {
    const { breaker, tell } = setUp();
    tell('failed', 'failed', 'nothing', 'nothing');
    expect(breaker.recent()).toEqual({ samples: 2, failedShare: 1 });
    tell('failed');
    expect(breaker.state()).toBe('open');
  });

  it('learns from a refusal that the server is alive, which ends a row of failures and says nothing of their share', () => {
    const { breaker, tell } = setUp();
    for (let made = 0; made < 10; made += 1) tell('failed', 'failed', 'alive');
    expect([breaker.state(), breaker.recent().failedShare]).toEqual(['open', 1]);
    const { breaker: other, tell: tellOther } = setUp();
    for (let made = 0; made < 9; made += 1) tellOther('failed', 'failed', 'alive');
    expect([other.state(), other.recent()]).toEqual(['closed', { samples: 18, failedShare: 1 }]);
  });

  it('closes when its probe has begun to answer; what begins at other times says nothing', () => {
    const { breaker, tell, pass } = setUp();
    tell('failed', 'failed');
    breaker.begin(breaker.enter());
    tell('failed');
    expect(breaker.state()).toBe('open');
    pass(1_000);
    breaker.begin(breaker.enter());
    expect(breaker.state()).toBe('closed');
  });

  it('says while a probe is under way to come again after as long as that has taken, at least a second', () => {
    const { breaker, tell, pass } = setUp();
    tell('failed', 'failed', 'failed');
    pass(1_000);
    expect(breaker.reopensInMs()).toBe(0);
    breaker.enter();
    expect(breaker.reopensInMs()).toBe(1_000);
    pass(7_000);
    expect(breaker.reopensInMs()).toBe(7_000);
  });

  it('lets in one probe when its time is up, and closes when it was answered', () => {
    const { breaker, tell, pass, states } = setUp();
    tell('failed', 'failed', 'failed');
    pass(999);
    expect(breaker.admits()).toBe('no');
    pass(1);
    expect(breaker.admits()).toBe('probe');
    const probe = breaker.enter();
    expect(breaker.admits()).toBe('no');
    breaker.note('ok', probe);
    expect(breaker.admits()).toBe('yes');
    expect(states).toEqual(['open', 'half_open', 'closed']);
    // And it begins anew.
    tell('failed', 'failed');
    expect(breaker.admits()).toBe('yes');
  });

  it.each([['alive', 'yes'], ['nothing', 'probe']] as const)('after a probe that ended with "%s" says "%s"', (verdict, admits) => {
    const { breaker, tell, pass } = setUp();
    tell('failed', 'failed', 'failed');
    pass(1_000);
    breaker.note(verdict, breaker.enter());
    expect(breaker.admits()).toBe(admits);
  });

  it('stays open twice as long after each failed probe, up to a minute and a fifth', () => {
    const { breaker, tell, pass } = setUp({ random: () => 1 });
    tell('failed', 'failed', 'failed');
    const opens = Array.from({ length: 8 }, () => {
      const forMs = breaker.reopensInMs();
      pass(forMs);
      breaker.note('failed', breaker.enter());
      return forMs;
    });
    expect(opens).toEqual([1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 72_000, 72_000]);
  });

  it('does not listen to what entered before it opened', () => {
    const { breaker, tell, pass } = setUp();
    const early = breaker.enter();
    tell('failed', 'failed', 'failed');
    pass(1_000);
    const probe = breaker.enter();
    breaker.note('failed', early);
    expect(breaker.state()).toBe('half_open');
    breaker.note('ok', probe);
    breaker.note('failed', early);
    expect([breaker.state(), breaker.recent().samples]).toEqual(['closed', 0]);
  });
});
