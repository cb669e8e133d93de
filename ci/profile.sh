#!/usr/bin/env bash
# Promise: what the recorder writes is read by the readers of its formats, and says what happened. What profiles cost when
# they are off is ci/bench.sh's promise: no instruction more than the baseline.
# The tour's profile stays in $PROFILE_DIR, if that is set.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_apt python3 python3-minimal
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
dir=${PROFILE_DIR:-$work/profile}; mkdir -p "$dir"

PROFILE_DIR=$dir tested cargo test --test profile
cargo run --quiet --example tour -- --executor sim --profile "$dir"
for file in on-cpu.folded off-cpu.folded on-cpu.svg off-cpu.svg speedscope.json summary.txt; do
    [ -s "$dir/$file" ] || { echo "error: $file is empty" >&2; exit 1; }
done
python3 ci/profile.py "$dir"
if python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet snakeviz==2.2.2; then
    "$work/venv/bin/python" ci/profile.py "$dir" snakeviz
else
    missing "snakeviz, which Python's package index has, and python3-venv"
fi
