#!/bin/sh
# Runs the tests of this example with its own packages, which are installed when they or the SDK have changed.
# They start the platform of this repository, which must be built (npm ci && npm run build).
set -eu
cd "$(dirname "$0")"
# The SDK as it is published, from the build of this repository.
node ../../sdk/typescript/pack.mjs
stamp=node_modules/.installed
wanted="$(cat package.json package-lock.json .npmrc | cksum) $(find ../../sdk/typescript/dist-pack -type f | LC_ALL=C sort | xargs cat | cksum)"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  printf '%s' "$wanted" >"$stamp"
fi
rm -rf dist
npx --no-install tsc
# One after the other: both kinds of tests start processes.
exec node --test --test-concurrency=1 --test-reporter="${TEST_REPORTER:-spec}" dist/test/*.test.js
