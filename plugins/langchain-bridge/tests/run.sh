#!/bin/sh
# Runs the tests against both LangChain lines, each in an environment of its own beside the package.
#
#   tests/run.sh            both
#   tests/run.sh lc1        one: lc1 or lc03
#   PYTHON=python3.10 tests/run.sh
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

for line in ${*:-lc03 lc1}; do
  venv=".venv-$line"
  stamp="$venv/installed-requirements.txt"
  if ! cmp -s "requirements-$line.txt" "$stamp"; then
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -r "requirements-$line.txt"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e ../../sdk/python -e .
    cp "requirements-$line.txt" "$stamp"
  fi
  echo "== LangChain line $line"
  "$venv/bin/python" -m pytest -q
done
