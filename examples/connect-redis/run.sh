#!/usr/bin/env bash
# Runs the example: three replicas of the login service, each with a huddle node. Ends with 0 only if all it saw was right.
# "run.sh test" runs the tests of the Redis clients of Node.js instead. Needs Go, Node.js 20 or later, and npm.
set -euo pipefail
cd "$(dirname "$0")"
exec </dev/null
command -v node >/dev/null || { echo "Node.js is missing: install version 20 or later, with npm"; exit 1; }
if (($(node -p 'process.versions.node.split(".")[0]') < 20)); then
  echo "Node.js $(node --version) is too old: install version 20 or later"
  exit 1
fi
if [[ ! -e node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
  npm ci
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
(cd ../.. && go build -o "$dir/huddle" ./cmd/huddle)
export HUDDLE=$dir/huddle
if [[ ${1:-} == test ]]; then
  node --test --test-concurrency=1 --test-reporter=spec
else
  node main.js
fi
