#!/usr/bin/env bash
# Promise: the command in the README passes: unit tests, integration tests, examples in the documentation; and the
# integration tests pass optimised too, where races and missing fences show.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
it_package
released it --quiet --no-run & # beside the first: much of a build uses one core
release=$!
trap 'kill $release 2>/dev/null || true' EXIT
TESTUDO_ROUNDS="${TESTUDO_ROUNDS:-0.3}" tested cargo test # all rounds are run below, optimised
wait "$release"
tested released it
