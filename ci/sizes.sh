#!/usr/bin/env bash
# Promise: what waiting costs on a chip: flash and RAM of each primitive, stack, and for how long interrupts are masked, beside
# three peers on Cortex-M0 and M3; with compare-and-swap and without the feature nothing masks, and the code does not grow.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_rustc_with_source
need_apt qemu-system-arm qemu-system-arm
need_apt ld.lld lld
need_apt llvm-size llvm
target_dir firmware
export RUSTFLAGS="-Clinker=ld.lld -Clink-arg=-Tlink.x -Clink-arg=--nmagic" CARGO_PROFILE_RELEASE_DEBUG=false
fail() { echo "error: $*" >&2; exit 1; }

section() { # PROGRAM SECTION...: bytes; of code, without memcpy and its like, which every firmware has
    local program="$CARGO_TARGET_DIR/$target/release/$1" shared=0; shift
    [ "$1" != .text ] || shared=$(llvm-nm -C --print-size --radix=d "$program" |
        awk '$3 ~ /[tT]/ && /compiler_builtins|__aeabi_/ && !($1 in seen) { seen[$1]; n += $2 } END { print n + 0 }')
    llvm-size -A "$program" | awk -v names=" $* " -v shared="$shared" \
        'index(names, " " $1 " ") { n += $2 } END { print n - shared }'
}
masks() { # PROGRAM: how often its code touches the interrupt mask
    llvm-objdump -d --mcpu=cortex-m3 "$CARGO_TARGET_DIR/$target/release/$1" | grep -ciE 'cpsid|primask' || true
}
more() { echo $(($(section "$@") - $(section empty "${@:2}"))); } # PROGRAM SECTION...: than what all programs have

# What an Event's wait, set and cancelled wait may take on thumbv6m: no growth that nobody has seen.
declare -A most=([no-cas]=1250)
for features in "" masked no-cas no-cas,masked; do
    target=thumbv7m-none-eabi; [[ $features != no-cas* ]] || target=thumbv6m-none-eabi
    (cd tests/firmware/sizes && cargo build --quiet --release --locked -Zbuild-std=core --target "$target" --features "$features" --bins)
    echo "$target [$features]: bytes of .text with .rodata, .data, .bss"
    for program in $(sed -n 's/^name = "\(.*-.*\)"$/\1/p' tests/firmware/sizes/Cargo.toml | grep -v '^testudo-' | sort); do
        printf '%-10s %-10s %6s %4s %4s\n' "${program#*-}" "${program%-*}" "$(more "$program" .text .rodata)" \
            "$(more "$program" .data)" "$(more "$program" .bss .uninit)"
    done
    if [[ $features == no-cas* ]]; then
        echo "$target [$features]: bytes of stack, longest masked section in instructions"
        timeout 300 qemu-system-arm -cpu cortex-m3 -machine lm3s6965evb -nographic -icount shift=7,sleep=off \
            -semihosting-config enable=on,target=native -kernel "$CARGO_TARGET_DIR/$target/release/measure" </dev/null |
            tee "$CARGO_TARGET_DIR/log" | awk '{ printf "%-10s %-10s %6s %6s\n", $1, $2, $3, $4 }'
        [ "$(grep -c '^testudo' "$CARGO_TARGET_DIR/log")" = 3 ] || fail "nothing was measured"
    elif [ -z "$features" ]; then
        # The emulator tells the program's M3 late that interrupts are on again, so the code is read instead of timed.
        echo "$target [$features]: instructions that mask: $(masks all-testudo), embassy's $(masks all-embassy)"
        [ "$(masks all-testudo)" = 0 ] || fail "interrupts are masked, without the feature that does"
        [ "$(masks all-embassy)" != 0 ] || fail "masking is not seen where it is"
    fi
    limit=${most[${features:-none}]:-}
    bytes=$(more event-testudo .text .rodata)
    [ -z "$limit" ] || [ "$bytes" -le "$limit" ] || fail "an Event takes $bytes bytes, at most $limit"
done
