#!/usr/bin/env bash
# Promise: a claim made in a file header (T1, I1, E1...) is used somewhere and a claim that is used was made; every unsafe
# block says why it is sound, every atomic operation why its ordering suffices; unsafe code stays in the files named here.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
may_be_unsafe=(
    src/sys.rs
    src/probe/ring.rs
    src/probe/slots.rs
    src/wait/batch.rs
    src/wait/front.rs
    src/wait/future.rs
    src/wait/held.rs
    src/wait/line.rs
    src/wait/lot.rs
    src/wait/node.rs
    src/wait/side.rs
    src/wait/word.rs
    src/sync/condition.rs
    src/sync/mutex.rs
    src/sync/once.rs
    src/sync/queue/chain.rs
    src/sync/queue/ring.rs
    src/sync/rwlock.rs
    src/sync/rwlock_guards.rs
    src/sync/until.rs
    src/task/cancel.rs
    src/task/cancel/child.rs
    src/task/cancel/shared.rs
    src/task/children/fixed.rs
    src/task/children/row.rs
    src/task/group/array.rs
    src/task/group/children.rs
    src/task/group/fixed.rs
    src/task/group/inbox.rs
    src/task/group/job.rs
    src/task/group/place.rs
    src/task/ready/block.rs
    src/task/ready/block/fixed.rs
    src/task/ready/block/heap.rs
    src/task/ready/block/memory.rs
    src/task/shelter.rs
    src/task/shelter/array.rs
    src/task/shelter/berth.rs
    src/task/shelter/heap.rs
    src/task/shelter/home.rs
    src/task/shelter/keeper.rs
    src/task/shelter/shield.rs
    src/task/shelter/site.rs
    src/task/shelter/slot.rs
    src/task/shelter/ticket.rs
    src/task/spawned/pile.rs
    src/flow/generator/body.rs
    src/run/offload/job.rs
)
need_apt python3 python3-minimal
python3 ci/labels.py "${may_be_unsafe[@]}"
