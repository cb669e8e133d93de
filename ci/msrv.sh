#!/usr/bin/env bash
# Promise: the library compiles with the Rust version that Cargo.toml names, not only with today's.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
target_dir msrv
msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
cargo clippy --quiet --lib --features std,sim,critical-section,portable-atomic -- -D clippy::incompatible_msrv

# The compiler itself: rustup's if it is installed, otherwise Debian's packages of that version, unpacked and not installed.
root="$CARGO_TARGET_DIR/rustc-$msrv"
debian_version() { apt-cache madison rustc-web 2>/dev/null | awk -v v="$msrv" 'index($3, v ".") == 1 { print $3; exit }'; }
version=$(debian_version)
[ -n "$version" ] || { in_turn as_root apt-get update -qq 2>/dev/null && version=$(debian_version); } || true
if rustup toolchain list 2>/dev/null | grep -q "^$msrv"; then
    RUSTC=$(rustup which rustc --toolchain "$(rustup toolchain list | grep -o "^$msrv[^ ]*" | head -1)")
elif [ -n "$version" ] && [ ! -x "$root/usr/bin/rustc" ]; then
    need_apt "/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1" libllvm19
    mkdir -p "$root" && (cd "$root" && apt-get download -qq "rustc-web=$version" "libstd-rust-web-$msrv=$version" "libstd-rust-web-dev=$version")
    for package in "$root"/*.deb; do dpkg-deb -x "$package" "$root" && rm "$package"; done
fi
if [ -z "${RUSTC:-}" ] && [ -x "$root/usr/bin/rustc" ]; then
    export RUSTC="$root/usr/bin/rustc" LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu"
fi
if [ -z "${RUSTC:-}" ]; then
    echo "done: clippy's incompatible_msrv lint for $msrv only; no $msrv compiler was found"; exit 0
fi
export RUSTC
"$RUSTC" --version | grep -F "rustc $msrv"
for features in "" alloc std sim std,sim std,sim,proptest,offload std,sim,critical-section portable-atomic; do
    cargo build --quiet --lib --no-default-features --features "$features"
done
echo "done: clippy's incompatible_msrv lint, and a build of the library with $("$RUSTC" --version)"
