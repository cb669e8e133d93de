#!/usr/bin/env bash
# Promise: what ping-pong, a queue, gather and spawn + join cost an operation on Sim, on asyncio and on uvloop, from this
# machine and this run. It compares; it fails only when a program does. Figures vary by a tenth between runs.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
target_dir uvloop
command -v python3 >/dev/null || missing "python3"
venv=$CARGO_TARGET_DIR/venv
if ! "$venv/bin/python" -c 'import uvloop' 2>/dev/null; then
    python3 -m venv "$venv" || missing "the venv module of python3"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uvloop || missing "uvloop"
fi
rust=$(mktemp)
trap 'rm -f "$rust"' EXIT
cargo bench --quiet -p testudo-benches --bench executors -- --peer "testudo Sim" >"$rust"
"$venv/bin/python" -B benches/executors.py "$rust"
