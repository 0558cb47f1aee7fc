#!/usr/bin/env bash
# Checks everything: vet, formatting, staticcheck, generated code, tests under the race detector, examples, the demonstration.
# It stops at the first failure. As root it installs what the tests need and is missing; otherwise it says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"

step() { printf '\n== %s\n' "$*"; }

step "what the tests need"
command -v go >/dev/null || { echo "go is missing: install the version that go.mod names, or a later one"; exit 1; }
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need redis-server redis-server
need redis-cli redis-tools
need protoc protobuf-compiler
if ! command -v "$(go env CC)" >/dev/null; then missing+=(gcc libc6-dev); fi # the race detector is linked with it
if ((${#missing[@]})); then
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]} (names of Debian packages)"
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # Run level 1: the package must not start a Redis server of its own.
  RUNLEVEL=1 apt-get install -q -y --no-install-recommends "${missing[@]}"
fi
echo "$(go version), $(protoc --version), $(redis-server --version)"

step "go vet"
go vet ./...

step "gofumpt"
unformatted=$(go tool -modfile=tools/go.mod gofumpt -l .)
if [[ -n $unformatted ]]; then
  printf 'not formatted; run: go tool -modfile=tools/go.mod gofumpt -w .\n%s\n' "$unformatted"
  exit 1
fi

step "staticcheck"
go tool -modfile=tools/go.mod staticcheck ./...

step "generated code"
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -R transport/peerpb "$before/"
scripts/generate.sh
# The lines that only name the generator's version may differ.
diff -r -I '^//.*[[:space:]]protoc[-a-z]*[[:space:]]*v[0-9]' "$before/peerpb" transport/peerpb ||
  { echo "transport/peerpb was not what peer.proto generates; it is now: commit it"; exit 1; }

step "scripts/bench: a module of its own"
(cd scripts/bench && go vet ./... && go test ./...)

step "go test -race"
go test -race -timeout 25m ./...

step "1,000 simulated schedules of faults"
go test ./node/protocol -run 'TestPromises|TestNoLoss' -count=1 -v -sim.schedules 1000

for example in scs; do
  if [[ -d examples/$example ]]; then
    step "examples/$example"
    go run "./examples/$example"
  fi
done

step "huddle demo"
go run ./cmd/huddle demo --for 15s

step "all passed"
