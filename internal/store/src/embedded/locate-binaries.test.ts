import { describe, expect, test } from 'vitest';
import { locateBinaries } from './locate-binaries.ts';

const SELF = { uid: 1000, gid: 1000, switched: false };

describe('locateBinaries', () => {
  test('on a platform without programs says which and offers DATABASE_URL', async () => {
    const found = locateBinaries({ binDir: undefined, platform: 'sunos', arch: 'sparc' }, SELF, '/nowhere');
    await expect(found).rejects.toMatchObject({ code: 'unsupported', message: expect.stringMatching(/sunos-sparc.*DATABASE_URL/s) });
  });

  test('on Windows says that it needs WSL or DATABASE_URL', async () => {
    const found = locateBinaries({ binDir: undefined, platform: 'win32', arch: 'x64' }, SELF, '/nowhere');
    await expect(found).rejects.toMatchObject({ code: 'unsupported', message: expect.stringMatching(/WSL.*DATABASE_URL/s) });
  });

  test('names the folder that was given and holds no server', async () => {
    const found = locateBinaries({ binDir: '/nowhere/bin', platform: 'linux', arch: 'x64' }, SELF, '/nowhere');
    await expect(found).rejects.toMatchObject({ code: 'unsupported', details: { path: '/nowhere/bin' } });
  });
});
