#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after the other: scripts/fuzz.sh [TIME [PACKAGE...]], such as 30m ./strategy.
# TIME is for each, a duration or a number of inputs such as 2000x; default 3000x. It stops at the first failure; what failed is
# then under testdata/fuzz of its package: commit it. With a duration, Go before 1.27 now and then reports "context deadline
# exceeded", and no input, when the time is up (go.dev/issue/75804): that is no failure of the target.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-3000x}
if (($#)); then shift; fi
packages=("$@")
if ((${#packages[@]} == 0)); then packages=(./...); fi
mapfile -t found < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' "${packages[@]}")
for line in "${found[@]}"; do
  package=${line%% *} dir=${line#* }
  while read -r target; do
    printf -- '-- %s %s, %s\n' "${package#github.com/huddle-cache/huddle/}" "$target" "$time"
    # Without minimizing: what a server covers is not the same in each run, and it would take all the time.
    go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x ${FUZZFLAGS:-} | { grep -v '^fuzz: elapsed' || true; }
  done < <(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F.*/\1/p' "$dir"/*_test.go)
done
