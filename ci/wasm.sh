#!/usr/bin/env bash
# Promise: the scenarios of tests/interop pass in WebAssembly on a JavaScript event loop (Node), which may never block.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_apt node nodejs
target_dir wasm
cd tests/wasm
# The glue is made by the host's program of the same version as the library that it serves: one Cargo.lock.
cargo build --quiet --locked --package testudo-wasm-glue
cd ../.. && need_rustc_with_source && cd tests/wasm
export RUSTFLAGS="-Clinker=wasm-ld"
need_apt wasm-ld lld
cargo build --quiet --locked --release --package testudo-wasm -Zbuild-std=std,panic_abort --target wasm32-unknown-unknown
out=$CARGO_TARGET_DIR/node
"$CARGO_TARGET_DIR/debug/testudo-wasm-glue" "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/testudo_wasm.wasm" "$out"
node run.js "$out"
