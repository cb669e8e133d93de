#!/usr/bin/env bash
# Promise: a signal handler may set and clear an event, take and free a lock, notify a condition, take and add permits, put into and
# get from a queue after every single instruction of the list operation that it interrupts, and for ten seconds at random the
# first three: nothing hangs, no wake-up is lost.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
export TESTUDO_SIGNAL_SECS="${TESTUDO_SIGNAL_SECS:-10}"
it_package
tested released signal -- --nocapture --test-threads=1
