// The requests as bytes, made once: only a number of fixed width changes from one to the next, so that no cache has seen it.
const SYSTEM = 'You help a security operations center. Answer in one sentence, and say what you do not know.';
const QUESTION = 'What is the threat level of the address in ticket ';
const NUMBER = '#'.repeat(12);
const FILLER = ' and the log line before it';

export function createRequests(target) {
  let last = 0;
  const templates = { miss: toTemplate(target), stream: toTemplate(target, { isStream: true }), same: toTemplate(target, { isCached: true }) };
  const long = new Map();
  const numbered = ({ text, at }) => {
    last += 1;
    // A copy: the one before may still be on its way to the socket.
    const bytes = Buffer.from(text);
    bytes.write(String(last).padStart(NUMBER.length, '0'), at, 'latin1');
    return [bytes];
  };
  return {
    /** `miss`, `stream`: another one each time; `same`: always the same. */
    next: (kind) => (kind === 'same' ? [templates.same.text] : numbered(templates[kind])),
    big: (bytes) => {
      if (!long.has(bytes)) long.set(bytes, toTemplate(target, { fillBytes: bytes }));
      return numbered(long.get(bytes));
    },
  };
}

/** `fillBytes`: a prompt that long, of words, after the number. `isCached`: with what the contender wants before it looks into its cache. */
function toTemplate({ host, port, path, headers, cached = {} }, { isStream = false, isCached = false, fillBytes = 0 } = {}) {
  // Each load has numbers of its own: a contender lives through several of them.
  const load = `${process.pid}-${Math.random().toString(36).slice(2, 10)}`;
  const content = `${QUESTION}${NUMBER} of ${load}?${FILLER.repeat(Math.ceil(fillBytes / FILLER.length))}`;
  const messages = [{ role: 'system', content: SYSTEM }, { role: 'user', content }];
  const json = JSON.stringify({ model: 'bench-model', messages, temperature: 0, ...(isStream ? { stream: true } : {}), ...(isCached ? cached.body : {}) });
  const lines = Object.entries({ host: `${host}:${port}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(json), ...headers, ...(isCached ? cached.headers : {}) });
  const text = Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${json}`, 'latin1');
  return { text, at: text.indexOf(NUMBER) };
}
