#!/usr/bin/env bash
# Promise: what the recorder writes is read by the readers of its formats, and says what happened; snakeviz draws it. While
# nobody records, profiles cost a predicted branch at each place; when they are off, nothing: no instruction more than
# ci/bench.sh's baseline. The tour's profile stays in $PROFILE_DIR, if that is set, with a picture of snakeviz's page.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_apt python3 python3-minimal
need_apt valgrind valgrind
need_apt "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')/ensurepip/__init__.py" python3-venv
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
dir=${PROFILE_DIR:-$work/profile}; mkdir -p "$dir"

PROFILE_DIR=$dir tested cargo test --test profile
cargo run --quiet --example tour -- --executor sim --profile "$dir"
for file in on-cpu.folded off-cpu.folded on-cpu.svg off-cpu.svg speedscope.json summary.txt; do
    [ -s "$dir/$file" ] || { echo "error: $file is empty" >&2; exit 1; }
done
python3 ci/profile.py "$dir"
if python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet snakeviz==2.2.2; then
    need_apt chromium chromium fonts-dejavu-core
    timeout 120 "$work/venv/bin/python" ci/profile.py "$dir" "$(command -v chromium)"
else
    missing "snakeviz, which Python's package index has, and python3-venv"
fi

branch() { # FEATURES FILE
    cargo build --quiet --profile bench -p testudo-benches-profile --bin branch --no-default-features --features "$1"
    cp "${CARGO_TARGET_DIR:-target}/release/branch" "$work/$2"
}
branch "" off
branch profile on
python3 ci/branch.py "$work/off" "$work/on" | tee "$dir/branches.txt"
