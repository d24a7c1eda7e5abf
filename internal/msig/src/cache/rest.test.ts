import { describe, expect, it } from 'vitest';
import { createRest } from './rest.ts';

describe('something that may fail', () => {
  it('fails once, however many were under way when it did, and works again only after its rest', () => {
    let nowMs = 0;
    const states: boolean[] = [];
    const rest = createRest(() => nowMs, (isOn) => void states.push(isOn));
    for (const works of [true, false, true, false, true, true, false]) rest.note(works);
    expect([states, rest.isResting()]).toEqual([[false], true]);
    nowMs = 10_000;
    expect(rest.isResting()).toBe(false);
    rest.note(true);
    rest.note(true);
    expect(states).toEqual([false, true]);
  });
});
