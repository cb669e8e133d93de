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
        patch --quiet -p1 <"$patch" || { echo "$patch is out of date" >&2; exit 1; }
        binary=$(cargo test --quiet --test asyncio --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*asyncio[^"]*\)".*/\1/p')
        status=0; timeout 60 "$binary" every_recorded >"$temp/log" 2>&1 || status=$?
        [ "$status" != 0 ] || { echo "$patch is not found" >&2; exit 1; }
        [ "$status" != 124 ] || { echo "$patch is not found within a minute" >&2; exit 1; }
        found=$(grep -m 1 -o '[0-9]* of [0-9]* differ' "$temp/log" || grep -m 1 -o 'panicked at src.*' "$temp/log") ||
            { tail "$temp/log" >&2; exit 1; }
        echo "$patch: $found"
        patch --quiet -p1 -R <"$patch"
    done
    exit
fi
find_python() { # sets `python`: CPython 3.13 or later, the machine's own, or as WebAssembly from the package registry of JavaScript
    local own folder=${CARGO_TARGET_DIR:-$PWD/target}/ci-pyodide
    for own in "${PYTHON:-python3}" python3.14 python3.13 "$HOME"/.pyenv/versions/3.1[3-9]*/bin/python3; do
        if "$own" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null; then python=("$own"); return; fi
    done
    need_apt node nodejs
    need_apt npm npm
    [ -e "$folder/node_modules/pyodide" ] || npm install --silent --no-audit --no-fund --prefix "$folder" pyodide@0.29.0 ||
        missing "CPython 3.13 or later (PYTHON=...), and what stands in for it: the package pyodide"
    python=(node python.mjs "$folder")
}
find_python
seed=${TESTUDO_SEED:-$RANDOM$RANDOM}; echo "seed $seed (TESTUDO_SEED)"; cd tests/asyncio
"${python[@]}" oracle.py selftest
"${python[@]}" gen.py --seed "$seed" --count "${TESTUDO_COUNT:-600}" >"$temp/scenarios"
"${python[@]}" oracle.py record "$temp/scenarios" ${TESTUDO_FIFO:+--fifo} >"$temp/traces"
binary=$(cargo test --test asyncio --no-run 2>&1 | tee >(cat >&2) | sed -n 's/.*Executable.*(\(.*\))/\1/p')
TESTUDO_SCENARIOS="$temp/scenarios" TESTUDO_TRACES="$temp/traces" tested "$binary" --nocapture && exit
# One that cannot start the binary cannot shrink: the seed and the differences above have to do.
[ "${python[0]}" = node ] || "${python[@]}" shrink.py "$binary" "$temp/scenarios"
exit 1
