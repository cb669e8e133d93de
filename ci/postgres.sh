#!/usr/bin/env bash
# Promise: a thousand transactions that are cancelled half-way leave no connection open, none of them done by half, and nothing
# that waits: on a PostgreSQL server that is made for this and thrown away, on tokio and on smol.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
need_apt /usr/lib/postgresql postgresql
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
[ -x "$bin/initdb" ] || missing "initdb"

dir=$(mktemp -d)
# The server refuses to run as root.
run() { (cd "$dir" && "$@"); }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
    run() { (cd "$dir" && runuser -u postgres -- "$@"); }
fi
stop() { run "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap stop EXIT
run "$bin/initdb" -D "$dir/data" -U postgres -A trust >/dev/null
run "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" start \
    -o "-c listen_addresses='' -c unix_socket_directories='$dir' -c max_connections=100 -c fsync=off" >/dev/null

cargo run --quiet --example postgres -- --socket "$dir" "$@"
