#!/usr/bin/env bash
# Promise: no operation costs over 2 % more instructions than benches/baseline.txt says, and this check can fail.
# Counted by callgrind, so it repeats exactly. Arguments go to benches/counts.rs: --peers counts the peers as well,
# --update rewrites the baseline, --gate and --self-test are the two halves of the default.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_apt valgrind valgrind
case "${1:-}" in
--gate | --self-test | --update) ;;
*) set -- --gate --self-test "$@" ;;
esac
cargo bench --quiet -p testudo-benches --bench counts -- "$@"
