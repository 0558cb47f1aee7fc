#!/usr/bin/env bash
# Runs the example: three replicas of the login service, each with a huddle node. Ends with 0 only if all it saw was right.
# "run.sh test" runs the tests of the Redis clients of Node.js instead. Needs Go, Node.js 20 or later, and npm.
set -euo pipefail
cd "$(dirname "$0")"
exec </dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. ../../scripts/node.sh
need_node "$dir"
if [[ ! -e node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
  npm ci
fi
(cd ../.. && go build -o "$dir/huddle" ./cmd/huddle)
export HUDDLE=$dir/huddle
if [[ ${1:-} == test ]]; then
  node --test --test-concurrency=1 --test-reporter=spec
else
  node main.js
fi
