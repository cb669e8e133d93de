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
        cargo build --quiet --lib -Zbuild-std="$library" --target "$target" --no-default-features --features "${features#-}" || return
    done
}
# no compare-and-swap in hardware: the program picks portable-atomic's backend, as these two words do
export masked=portable-atomic/critical-section
export single=portable-atomic/unsafe-assume-single-core

all() { # TARGET: every build for it, in a folder of its own, beside those for others
    export CARGO_TARGET_DIR="$CARGO_TARGET_DIR/$1"
    case $1 in
    thumbv7m-* | wasm32-*)
        build "$1" core - critical-section && build "$1" core,alloc alloc sim sim,critical-section &&
            { [[ $1 == wasm32-* ]] || build "$1" core profile; } ;;
    thumbv6m-* | riscv32imc-*)
        build "$1" core $masked $masked,critical-section $single $single,critical-section $masked,profile &&
            build "$1" core,alloc $masked,sim $single,sim,critical-section $masked,sim,profile ;;
    i686-*)
        build "$1" std - std std,sim std,sim,critical-section ;;
    esac
}
export -f build all
printf '%s\n' {thumbv7m,thumbv6m}-none-eabi i686-unknown-linux-gnu riscv32imc-unknown-none-elf wasm32-unknown-unknown |
    xargs -P "$(nproc)" -I {} bash -c 'all "$1"' all {}
