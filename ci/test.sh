#!/usr/bin/env bash
# Promise: the command in the README passes: unit tests, integration tests, examples in the documentation; and the
# integration tests pass optimised too, where races and missing fences show.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
tested cargo test
tested cargo test --release --test it
