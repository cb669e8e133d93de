#!/usr/bin/env bash
# Promise: in every model, under every interleaving with at most three preemptions (two in .ci/run) that the memory model
# allows, each edge of the file headers holds. The models that take minutes, or need more, say how many they have instead.
# Both forms of the code are explored: the quick one, and, with a preemption less, the small one that chips get.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
target_dir loom
export LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" RUST_BACKTRACE=0
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
# A package with what the models use and no more, because all of it is built for each form.
{
    printf '[package]\nname = "models"\nedition = "2024"\n[workspace]\n[lib]\npath = "lib.rs"\n'
    printf '[lints.rust]\nunexpected_cfgs = "allow"\n'
    printf '[[test]]\nname = "loom"\npath = "%s/tests/loom/main.rs"\n[dev-dependencies]\n' "$PWD"
    printf 'testudo = { path = "%s", features = ["std", "sim", "offload", "profile"] }\n' "$PWD"
    awk '/^\[/ { wanted = /dependencies/ } wanted && /^(futures-core|loom) / && !seen[$1]++' Cargo.toml
} >"$work/Cargo.toml"
touch "$work/lib.rs"
cp Cargo.lock "$work"
# A process for each: loom maps a stack for each thread of each execution, and threads would queue up for that.
each() { "$1" --list | sed -n 's/: test$//p' | xargs -P "$(nproc)" -n 1 "$1" --quiet --exact; }
for form in "" "--cfg testudo_lean"; do
    [ -z "$form" ] || LOOM_MAX_PREEMPTIONS=$((LOOM_MAX_PREEMPTIONS - 1))
    echo "loom [$form], at most $LOOM_MAX_PREEMPTIONS preemptions"
    export RUSTFLAGS="--cfg testudo_loom $form"
    build=(cargo test --quiet --release --manifest-path "$work/Cargo.toml" --test loom --no-run)
    "${build[@]}"
    tested each "$("${build[@]}" --message-format json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)"
done
