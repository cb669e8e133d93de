#!/usr/bin/env bash
# Promise: the published package holds the sources, examples, README, changelog and both licences and nothing of the
# workshop, compiles as it is packed, and the files of src/ keep to the sizes that keep them readable.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/lib.sh
fail() { echo "error: $*" >&2; exit 1; }

long=$(find src -name '*.rs' -exec awk 'END { if (NR > 800) print FILENAME " has " NR " lines, at most 800" }' {} \;)
[ -z "$long" ] || fail "$long"
[ "$(wc -l <src/lib.rs)" -le 120 ] || fail "src/lib.rs has more than 120 lines"

list=$(cargo package --list --allow-dirty --quiet)
for file in Cargo.toml README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE src/lib.rs; do
    grep -qxF "$file" <<<"$list" || fail "the package lacks $file"
done
grep -q '^examples/tour' <<<"$list" || fail "the package lacks the tour"
if extra=$(grep -vE '^(src|examples)/|^(Cargo\.(toml|toml\.orig|lock)|README\.md|CHANGELOG\.md|LICENSE-(MIT|APACHE)|\.cargo_vcs_info\.json)$' <<<"$list"); then
    fail "the package holds what it should not: $extra"
fi

target_dir package
cargo package --quiet --no-verify --allow-dirty --package testudo
unpacked=$(mktemp -d); trap 'rm -rf "$unpacked"' EXIT
tar -xzf "$CARGO_TARGET_DIR"/package/testudo-*.crate -C "$unpacked" --strip-components 1
(cd "$unpacked" && cargo check --quiet --lib --features std,sim,profile)
echo "the package has $(wc -l <<<"$list") files and compiles"
