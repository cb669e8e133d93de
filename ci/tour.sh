#!/usr/bin/env bash
# Promise: the tour in the README runs on every executor that it offers, and answers an unknown one with the names of those.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
fail() { echo "error: $*" >&2; exit 1; }

cargo build --quiet --example tour
cargo run --quiet --example tour
if message=$(cargo run --quiet --example tour -- --executor nosuch 2>&1); then
    fail "--executor nosuch was accepted: $message"
fi
names=$(sed -n 's/.*possible values: \(.*\)\].*/\1/p' <<<"$message" | tr -d ',')
[ -n "$names" ] || fail "the message names no accepted value: $message"
for name in $names; do
    echo "== tour --executor $name"
    cargo run --quiet --example tour -- --executor "$name" >/dev/null || fail "--executor $name fails"
done
