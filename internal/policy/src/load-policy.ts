import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@openeaap/kernel';
import { compilePolicy } from './compile-policy.ts';
import type { CompiledPolicy, PolicyOptions } from './compile-policy.ts';
import { POLICY_LIMITS } from './limits.ts';
import type { PolicyFile } from './yaml-reader.ts';

/**
 * Reads and compiles the `*.yaml` files of a folder, in the order of their names.
 * @throws PlatformError policy_invalid when the folder cannot be read, holds no policy, or a file is wrong.
 */
export async function loadPolicy(dir: string, options: PolicyOptions = {}): Promise<CompiledPolicy> {
  return compilePolicy(await readPolicyFiles(dir), options);
}

/** The files alone, for `PolicyHolder.replace`. @throws PlatformError policy_invalid */
export async function readPolicyFiles(dir: string): Promise<readonly PolicyFile[]> {
  try {
    const names = (await readdir(dir)).filter((name) => name.endsWith('.yaml') && !name.startsWith('.')).sort();
    return await Promise.all(names.slice(0, POLICY_LIMITS.files + 1).map((name) => readPolicyFile(dir, name)));
  } catch (thrown) {
    if (thrown instanceof PlatformError) throw thrown;
    throw new PlatformError('policy_invalid', `No policy loaded: the policy folder "${dir}" cannot be read. Check that it exists and is readable.`, { cause: thrown });
  }
}

async function readPolicyFile(dir: string, name: string): Promise<PolicyFile> {
  const path = join(dir, name);
  const { size } = await stat(path);
  if (size > POLICY_LIMITS.fileBytes) throw new PlatformError('policy_invalid', `${name}:1:1: the file is larger than ${POLICY_LIMITS.fileBytes} bytes; split it`);
  return { name, text: await readFile(path, 'utf8') };
}
