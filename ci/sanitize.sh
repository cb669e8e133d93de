#!/usr/bin/env bash
# Promise: no data race under ThreadSanitizer, no wrong access and no leak under AddressSanitizer and valgrind, in the same
# tests that everybody runs; and each sanitizer is seen to find a planted fault first. (There is no miri here.)
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_rustc_with_source
need_apt clang-22 clang-22 libclang-rt-22-dev llvm-22
need_apt valgrind valgrind libc6-dbg
export TSAN_OPTIONS="external_symbolizer_path=$(command -v llvm-symbolizer-22)" ASAN_SYMBOLIZER_PATH="$(command -v llvm-symbolizer-22)"
export CARGO_PROFILE_DEV_DEBUG=line-tables-only
export TESTUDO_ROUNDS="${TESTUDO_ROUNDS:-0.1}" # a sanitizer is ten times slower
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
it_package

under() ( # SANITIZER ARGUMENT...: cargo test
    target_dir "$1"
    export RUSTFLAGS="-Zsanitizer=$1 -Zexternal-clangrt -Clinker=clang-22 -Clink-arg=-fsanitize=$1"
    cargo test -Zbuild-std --target x86_64-unknown-linux-gnu --manifest-path "$it" "${@:2}"
)
sanitized() { # SANITIZER "FAULTS" FILTER...: the tests of FILTER, after each planted fault was found and clean code passed
    tested under "$1" --lib clean
    for fault in $2; do
        if under "$1" --lib "$fault" >"$work/log" 2>&1; then echo "error: planted $fault not found" >&2; exit 1; fi
        grep 'SUMMARY: .*Sanitizer' "$work/log"
    done
    tested under "$1" --test it "${@:3}"
}
memcheck() {
    unset RUSTC RUSTC_BOOTSTRAP
    local fault status tests memcheck=(valgrind --quiet --fair-sched=yes --leak-check=full --show-leak-kinds=definite,indirect
        --errors-for-leak-kinds=definite,indirect --error-exitcode=99)
    rustc --edition 2024 --test -O -g ci/planted.rs -o "$work/planted" || return
    for fault in use_after_free leak; do
        status=0; "${memcheck[@]}" "$work/planted" "$fault" >"$work/planted.log" 2>&1 || status=$?
        [ "$status" = 99 ] || { echo "error: planted $fault not found" >&2; return 1; }
        echo "memcheck finds the planted $fault"
    done
    released it --no-run || return # test.sh's own build, if that ran before
    tests=$(released it --no-run 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p')
    TESTUDO_ROUNDS=small tested "${memcheck[@]}" "$tests" stress
}
cargo metadata --quiet --format-version 1 --manifest-path "$it" >"$work/log" # one lock file for both
under thread --quiet --no-run & # beside the other: much of a build uses one core
beside=$!
trap 'kill $beside 2>/dev/null || true; rm -rf "$work"' EXIT
under address --quiet --no-run
wait "$beside"
sanitized thread race stress
memcheck >"$work/memcheck.log" 2>&1 & # it uses one core
beside=$!
sanitized address "use_after_free leak"
status=0; wait "$beside" || status=$?
cat "$work/memcheck.log"
exit "$status"
