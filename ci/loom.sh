#!/usr/bin/env bash
# Promise: in every model, under every interleaving with at most three preemptions that the memory model allows, each edge
# of the file headers holds.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
target_dir loom
export RUSTFLAGS="--cfg testudo_loom" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}"
tested cargo test --release --test loom
