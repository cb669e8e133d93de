#!/usr/bin/env bash
# Promise: what it costs to be recorded, in time and in bytes, beside tracing-chrome and console-subscriber; each recorder is seen to
# be told what the program did. Not in .ci/run: it builds a web server, and figures of a busy machine say nothing.
set -euo pipefail
cd "$(dirname "$0")/../benches/recorders"
. ../../ci/lib.sh
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/../../target}/ci-recorders"
cargo clippy --quiet --locked --all-targets -- -D warnings
for what in time heap; do cargo run --quiet --locked --release --bin "$what"; done
