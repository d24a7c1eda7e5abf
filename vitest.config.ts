import { defineConfig } from 'vitest/config';

const shared = {
  resolve: { conditions: ['@openeaap/source'] },
  ssr: { resolve: { conditions: ['@openeaap/source'] } },
};
const roots = '{api/proto/src,internal,pkg,plugins,sdk/typescript/src,cmd,demo,tests}';

/** Two projects: `unit` needs nothing but Node; `db` and `e2e` start real servers of their own. */
export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: [`${roots}/**/*.test.ts`],
          exclude: ['**/node_modules/**', '**/dist/**', '**/.venv*/**', '**/*.db.test.ts', '**/*.e2e.test.ts'],
          testTimeout: 10_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          name: 'db',
          include: [`${roots}/**/*.db.test.ts`],
          exclude: ['**/node_modules/**', '**/dist/**', '**/.venv*/**'],
          globalSetup: ['internal/store/src/testing/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        ...shared,
        test: {
          name: 'e2e',
          include: [`${roots}/**/*.e2e.test.ts`],
          exclude: ['**/node_modules/**', '**/dist/**', '**/.venv*/**'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
