#!/usr/bin/env bash
# Promise: on Cortex-M0 and M3 (emulated; embassy's executors, no allocator), a million interrupts signal tasks that wait, give up
# and time out, and an interrupt after every instruction of each list operation, without a lost wake-up; all that works without an
# allocator does, while interrupts come; the examples for firmware run; and this check can fail.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_rustc_with_source
need_apt qemu-system-arm qemu-system-arm
need_apt ld.lld lld
target_dir firmware
export RUSTFLAGS="-Clinker=ld.lld -Clink-arg=-Tlink.x -Clink-arg=--nmagic" CARGO_PROFILE_RELEASE_DEBUG=false

build() { # PACKAGE TARGET FEATURES: all programs
    (cd "$1" && cargo build --quiet --release --locked -Zbuild-std=core --target "$2" --features "$3" --bins)
}
emulate() { # TARGET PROGRAM SECONDS: fails with the program, and when it does not end
    local shift=3 # 8 ns an instruction
    [ "$2" != sweep ] || shift=7 # longer than the 80 ns between two clocks of SysTick, so that each instruction is met
    timeout "$3" qemu-system-arm -cpu cortex-m3 -machine lm3s6965evb -nographic -icount "shift=$shift,sleep=off" \
        -semihosting-config enable=on,target=native -kernel "$CARGO_TARGET_DIR/$1/release/$2"
}
passes() { # PACKAGE TARGET FEATURES: builds and runs all programs, which say so
    local source program
    build "$@"
    for source in "$1"/src/bin/*.rs; do
        program=$(basename "$source" .rs)
        echo "$2 [$3] $program"
        emulate "$2" "$program" 300 </dev/null | tee "$CARGO_TARGET_DIR/$2.log"
        grep -qx pass "$CARGO_TARGET_DIR/$2.log"
    done
}
all() { # TARGET FEATURES: with interrupts masked, and without
    passes tests/firmware "$1" "${2:+$2,}masked"
    passes tests/firmware "$1" "$2"
    passes examples/embassy "$1" "$2"
}
mkdir -p "$CARGO_TARGET_DIR"
all thumbv7m-none-eabi "" >"$CARGO_TARGET_DIR/beside.log" 2>&1 & # an emulator uses one core
beside=$!
trap 'kill $beside 2>/dev/null || true' EXIT
all thumbv6m-none-eabi no-cas
status=0; wait "$beside" || status=$?
cat "$CARGO_TARGET_DIR/beside.log"
[ "$status" = 0 ]

echo "planted: the list flag is taken without masking interrupts; the sweep must hang"
copy=$(mktemp -d); trap 'rm -rf "$copy"' EXIT
cp -r Cargo.toml README.md src tests benches examples "$copy"
sed -i 's/unsafe { critical_section::acquire() }/unsafe { core::mem::zeroed() }/; s/unsafe { critical_section::release(self.restore) }/_ = self.restore;/' "$copy/src/sys.rs"
! cmp -s src/sys.rs "$copy/src/sys.rs"
build "$copy/tests/firmware" thumbv7m-none-eabi masked
if emulate thumbv7m-none-eabi sweep 20 </dev/null >"$CARGO_TARGET_DIR/log" 2>&1; then echo "error: it passed" >&2; exit 1; fi
grep -q 'interrupted at' "$CARGO_TARGET_DIR/log"
echo "it did not pass, as it must not"
