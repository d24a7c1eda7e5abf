// The embedding model as a program of its own, asked as any embedding backend is.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pythonOf } from '../python-install.mjs';

const START_LIMIT_MS = 60_000;
const BATCH = 32;
const BATCH_LIMIT_MS = 60_000;

/** Vectors of all texts, and how long one takes; the program has ended when this returns. */
export async function embedAll(texts) {
  const child = spawn(pythonOf('embedding'), [fileURLToPath(new URL('embedding-server.py', import.meta.url))], { env: { ...process.env, HF_HUB_OFFLINE: '1' }, stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const url = `http://127.0.0.1:${await firstLine(child)}/v1/embeddings`;
    const vectors = new Map();
    const startedMs = performance.now();
    for (let at = 0; at < texts.length; at += BATCH) {
      const input = texts.slice(at, at + BATCH);
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'all-MiniLM-L6-v2', input }), signal: AbortSignal.timeout(BATCH_LIMIT_MS) });
      if (!response.ok) throw new Error(`The embedding model answered ${response.status}: ${await response.text()}`);
      for (const { index, embedding } of (await response.json()).data) vectors.set(input[index], embedding);
    }
    return { vectors, msEach: (performance.now() - startedMs) / texts.length };
  } finally {
    child.kill('SIGKILL');
  }
}

function firstLine(child) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`The embedding model did not start within ${START_LIMIT_MS / 1_000} s.`)), START_LIMIT_MS);
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
      if (!text.includes('\n')) return;
      clearTimeout(timer);
      resolve(text.trim());
    });
    child.once('exit', (code, signal) => reject(new Error(`The embedding model ended (${signal ?? code}).`)));
    child.once('error', reject);
  });
}
