# Promise: a check that could not run, or that ran nothing, never counts as passed.
# Sourced by the scripts here from the top of the tree: missing, in_turn, need_apt, need_cargo, target_dir,
# need_rustc_with_source, it_package, released, counted_tests, tested.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
lib=$PWD/ci/lib.sh
# One release build of the tests serves test.sh and valgrind, which names source lines by this.
export CARGO_PROFILE_RELEASE_DEBUG=line-tables-only

missing() { # WHAT: an error in CI, a skipped script on a laptop
    if [ "${CI:-}" = true ]; then echo "error: missing: $1" >&2; exit 1; fi
    echo "SKIP $0: missing: $1"; exit 0
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

in_turn() { # COMMAND...: scripts that run side by side wait for each other here
    local status=0
    { flock 9; "$@" 9<&- || status=$?; } 9<"$lib"
    return "$status"
}

has() { [ -e "$1" ] || command -v "$1" >/dev/null; } # COMMAND-OR-FILE
install_apt() { # COMMAND-OR-FILE PACKAGE...
    ! has "$1" || return 0
    as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends "${@:2}" >/dev/null
}

need_apt() { # COMMAND-OR-FILE PACKAGE...: installs the packages unless the command, or the file, is there
    if has "$1"; then return; fi
    command -v apt-get >/dev/null || missing "$1 (Debian packages: ${*:2})"
    echo "installing Debian packages: ${*:2}"
    in_turn install_apt "$@" || missing "$1"
    has "$1" || missing "$1, even after installing ${*:2}"
}

need_cargo() { # COMMAND CRATE: installs the cargo tool unless it is there
    if command -v "$1" >/dev/null; then return; fi
    echo "installing from the package registry: $2"
    cargo install --locked --quiet "$2" || missing "$1"
}

need_rustc_with_source() { # a compiler with the source of its library, for -Zbuild-std: sets RUSTC and RUSTC_BOOTSTRAP
    need_apt /usr/lib/rustlib/src/rust/library/core/Cargo.toml rustc-web rust-web-src
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
}

target_dir() { export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/ci-$1"; } # NAME: its own build folder

counted_tests() { # LOG: fails when no test ran
    local n; n=$(awk '/^test result:/ { n += $4 + $6 } END { print n + 0 }' "$1")
    if [ "$n" = 0 ]; then echo "error: no test ran" >&2; return 1; fi
    echo "$n tests ran"
}

it_package() { # a package with what tests/it and tests/signal use, for who builds all of it anew; a library of planted faults
    mkdir -p target/it
    {
        printf '[package]\nname = "planted"\nedition = "2024"\n[workspace]\n[features]\ncritical-section = []\n'
        printf '[lib]\npath = "%s/ci/planted.rs"\n' "$PWD"
        printf '[[test]]\nname = "%s"\npath = "%s/tests/%s/main.rs"\n' it "$PWD" it signal "$PWD" signal
        printf '[dev-dependencies]\ntestudo = { path = "%s", features = ["sim", "proptest", "offload"] }\n' "$PWD"
        awk '/^\[/ { wanted = /dependencies/ }
            wanted && /^(futures-core|futures-lite|futures-util|libc|proptest|smol|static_assertions|tokio) / && !seen[$1]++ {
                sub(/, optional = true/, ""); print
            }' Cargo.toml
    } >target/it/Cargo.toml
    cp Cargo.lock target/it
    it="$PWD/target/it/Cargo.toml"
}
released() { cargo test --release --target-dir target --manifest-path "$it" --test "$@"; } # TEST ARGUMENT...: of that package

tested() { # COMMAND...: runs it, shows its output, fails with it or when no test ran
    local log status=0; log=$(mktemp)
    "$@" 2>&1 | tee "$log" || status=1
    [ "$status" != 0 ] || counted_tests "$log" || status=1
    rm -f "$log"; return "$status"
}
