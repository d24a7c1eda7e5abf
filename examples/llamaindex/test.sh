#!/bin/sh
# Runs the tests of this example, in an environment of its own that is made when the requirements have changed.
# They start the platform of this repository, which must be built (npm ci && npm run build).
#   PYTHON=python3.10 examples/llamaindex/test.sh
set -eu
cd "$(dirname "$0")"
stamp=.venv/installed
# Packages are installed by where they are: a copied folder is not the one that was installed.
wanted="$(pwd) $(cat requirements.txt ../../sdk/python/pyproject.toml | cksum)"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  "${PYTHON:-python3}" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e ../../sdk/python
  printf '%s' "$wanted" >"$stamp"
fi
exec .venv/bin/python -m pytest "$@"
