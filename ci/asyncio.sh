#!/usr/bin/env bash
# Promise: programs over asyncio's objects, drawn anew each time, end on testudo as in CPython 3.13, but for the differences
# that have a name; with --mutants: each planted mistake is found by the committed programs within a minute.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
temp=$(mktemp -d); trap 'rm -rf "$temp"' EXIT
export PYTHONDONTWRITEBYTECODE=1
if [ "${1:-}" = --mutants ]; then
    target_dir mutants
    tar --exclude=./target --exclude=./.git -c . | tar -x -C "$temp"; cd "$temp"
    for patch in tests/asyncio/mutants/*.patch; do
        patch --quiet -p1 <"$patch"
        cargo test --quiet --test asyncio --no-run
        if timeout 60 cargo test --quiet --test asyncio every_recorded >log 2>&1; then echo "$patch is not found" >&2; exit 1; fi
        found=$(grep -m 1 -o '[0-9]* of [0-9]* differ' log || grep -m 1 -o 'panicked at src.*' log) || { tail log >&2; exit 1; }
        echo "$patch: $found"
        patch --quiet -p1 -R <"$patch"
    done
    exit
fi
for python in "${PYTHON:-python3}" python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python3 ""; do
    [ -n "$python" ] || missing "CPython 3.13 or later (PYTHON=...)"
    ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null || break
done
seed=${TESTUDO_SEED:-$RANDOM$RANDOM}; echo "$("$python" --version), seed $seed (TESTUDO_SEED)"; cd tests/asyncio
"$python" oracle.py selftest
"$python" gen.py --seed "$seed" --count "${TESTUDO_COUNT:-600}" >"$temp/scenarios"
"$python" oracle.py record "$temp/scenarios" >"$temp/traces"
binary=$(cargo test --test asyncio --no-run 2>&1 | tee /dev/stderr | sed -n 's/.*Executable.*(\(.*\))/\1/p')
TESTUDO_SCENARIOS="$temp/scenarios" TESTUDO_TRACES="$temp/traces" tested "$binary" --nocapture ||
    { "$python" shrink.py "$binary" "$temp/scenarios"; exit 1; }
