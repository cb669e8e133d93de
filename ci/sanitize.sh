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
export TESTUDO_ROUNDS="${TESTUDO_ROUNDS:-0.2}" # a sanitizer is ten times slower
planted=$(mktemp -d); trap 'rm -rf "$planted"' EXIT
printf '[package]\nname = "planted"\nedition = "2024"\n[lib]\npath = "planted.rs"\n[workspace]\n' >"$planted/Cargo.toml"
cp ci/planted.rs "$planted"

sanitized() ( # SANITIZER "FAULTS" FILTER...: the tests of FILTER, after each planted fault was found and clean code passed
    target_dir "$1"; faults=$2
    export RUSTFLAGS="-Zsanitizer=$1 -Zexternal-clangrt -Clinker=clang-22 -Clink-arg=-fsanitize=$1"
    run=(cargo test -Zbuild-std --target x86_64-unknown-linux-gnu)
    tested "${run[@]}" --manifest-path "$planted/Cargo.toml" --lib clean
    for fault in $faults; do
        if "${run[@]}" --manifest-path "$planted/Cargo.toml" --lib "$fault" >"$planted/log" 2>&1; then
            echo "error: planted $fault not found" >&2; exit 1
        fi
        grep 'SUMMARY: .*Sanitizer' "$planted/log"
    done
    tested "${run[@]}" --test it "${@:3}"
)
sanitized thread race stress
sanitized address "use_after_free leak"

unset RUSTC RUSTC_BOOTSTRAP
memcheck=(valgrind --quiet --fair-sched=yes --leak-check=full --show-leak-kinds=definite,indirect
    --errors-for-leak-kinds=definite,indirect --error-exitcode=99)
binary() { # CARGO-OPTIONS: builds a test binary, prints its path
    cargo test --release --no-run "$@" >&2
    cargo test --release --no-run "$@" 2>&1 | sed -n 's/.*Executable.*(\(.*\))/\1/p'
}
faults=$(target_dir memcheck && binary --manifest-path "$planted/Cargo.toml" --lib)
for fault in use_after_free leak; do
    status=0; "${memcheck[@]}" "$faults" "$fault" >"$planted/log" 2>&1 || status=$?
    [ "$status" = 99 ] || { echo "error: planted $fault not found" >&2; exit 1; }
    echo "memcheck finds the planted $fault"
done
tests=$(binary --test it) # test.sh's own build, if that ran before
TESTUDO_ROUNDS=small tested "${memcheck[@]}" "$tests" stress
