/** Reads what the upstream double wrote through whatever framing a gateway gives it: number and time of each piece. */
export function readStream(clockUs) {
  const delays = [];
  let rest = '';
  let first = null;
  let disordered = 0;
  let next = 0;
  let isDone = false;
  return {
    take: (text) => {
      const atUs = clockUs();
      const all = rest + text;
      const end = all.lastIndexOf('\n') + 1;
      rest = all.slice(end);
      for (const [, index, writtenUs] of all.slice(0, end).matchAll(/~(\d+)~(\d+)~/g)) {
        first ??= atUs;
        if (Number(index) !== next) disordered += 1;
        next = Number(index) + 1;
        delays.push(atUs - Number(writtenUs));
      }
      if (all.includes('data: [DONE]')) isDone = true;
    },
    end: () => ({ first, delays, received: delays.length, disordered, isDone }),
  };
}
