#!/usr/bin/env bash
# Promise: in every model, under every interleaving with at most three preemptions (two in .ci/run) that the memory model
# allows, each edge of the file headers holds. The models that take minutes, or need more, say how many they have instead.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
target_dir loom
export RUSTFLAGS="--cfg testudo_loom" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" RUST_BACKTRACE=0
cargo test --release --test loom --no-run
models=$(cargo test --release --test loom --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
# A process for each: loom maps a stack for each thread of each execution, and threads would queue up for that.
each() { "$1" --list | sed -n 's/: test$//p' | xargs -P "$(nproc)" -n 1 "$1" --quiet --exact; }
tested each "$models"
