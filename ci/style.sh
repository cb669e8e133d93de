#!/usr/bin/env bash
# Promise: the tree is formatted, and no combination of features gives a warning of the compiler, of clippy or of rustdoc.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
cargo fmt --version >/dev/null && cargo clippy --version >/dev/null || rustup component add rustfmt clippy || missing "rustfmt, clippy"
target_dir style

cargo fmt --all --check
for package in tests/firmware tests/firmware/sizes examples/embassy benches/recorders; do (cd $package && cargo fmt --check); done
(cd tests/wasm && cargo fmt --check --all)

# The library alone: the crate's dev-dependency on itself turns std and sim on as soon as tests are compiled. A crate is
# checked by one core, so that these go on beside the others, in a folder of their own.
library() {
    local chip main
    for chip in "" critical-section portable-atomic critical-section,portable-atomic; do
        for main in "" alloc std sim std,sim std,sim,proptest std,sim,offload \
            profile profile,alloc profile,sim profile,std profile,std,sim; do
            echo "clippy, library with [$main,$chip]"
            cargo clippy --quiet --lib --no-default-features --features "$main,$chip" -- -D warnings || return
        done
    done
}
CARGO_TARGET_DIR="$CARGO_TARGET_DIR/lib" library &
library=$!
trap 'kill $library 2>/dev/null || true' EXIT

# Tests, examples and benches may write std:: where the library must write core:: or alloc::.
warnings=(-D warnings -A clippy::std_instead_of_core -A clippy::std_instead_of_alloc -A clippy::alloc_instead_of_core)
for features in "" critical-section portable-atomic; do
    echo "clippy, everything with [std,$features]"
    cargo clippy --quiet --all-targets --features "$features" -- "${warnings[@]}"
done
echo "clippy, the workspace with all features, and under loom"
cargo clippy --quiet --workspace --all-targets --all-features -- "${warnings[@]}"
RUSTFLAGS="--cfg testudo_loom" cargo clippy --quiet --lib --test loom -- "${warnings[@]}"

RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --features std,sim,proptest,offload,profile
# Without features there is less to link to.
RUSTDOCFLAGS="-D warnings -A rustdoc::broken-intra-doc-links" cargo doc --quiet --no-deps --no-default-features
wait "$library"
