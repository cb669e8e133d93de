#!/usr/bin/env bash
# Promise: the library builds for bare metal, with and without compare-and-swap, for wasm32 and for 32-bit Linux; without
# features it needs core alone. It builds only: nothing runs here.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_rustc_with_source
target_dir targets

build() { # TARGET LIBRARY FEATURES...: one build for each word of features, `-` for none
    local target=$1 library=$2 features; shift 2
    for features in "$@"; do
        echo "$target ($library) [$features]"
        cargo build --quiet --lib -Zbuild-std="$library" --target "$target" --no-default-features --features "${features#-}"
    done
}
# no compare-and-swap in hardware: the program picks portable-atomic's backend, as these two lines do
masked=portable-atomic/critical-section
single=portable-atomic/unsafe-assume-single-core

for target in thumbv7m-none-eabi wasm32-unknown-unknown; do
    build $target core - critical-section
    build $target core,alloc alloc sim sim,critical-section
done
build thumbv7m-none-eabi core profile
for target in thumbv6m-none-eabi riscv32imc-unknown-none-elf; do
    build $target core $masked $masked,critical-section $single $single,critical-section $masked,profile
    build $target core,alloc $masked,sim $single,sim,critical-section $masked,sim,profile
done
build i686-unknown-linux-gnu std - std std,sim std,sim,critical-section
