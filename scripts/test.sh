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
need node nodejs
need npm npm
[[ -n $(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null) ]] || missing+=(postgresql) # of examples/vendure; in Debian it is not in PATH
need protoc protobuf-compiler
need systemd-analyze systemd # checks the unit in examples/deploy; it is not started
need tcpdump tcpdump
need ip iproute2
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
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. scripts/node.sh
need_node "$tmp" # now, and not after everything else has been tested
echo "$(go version), $(protoc --version), $(redis-server --version), node $(node --version)"

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
cp -R transport/peerpb "$tmp/"
scripts/generate.sh
# The lines that only name the generator's version may differ.
diff -r -I '^//.*[[:space:]]protoc[-a-z]*[[:space:]]*v[0-9]' "$tmp/peerpb" transport/peerpb ||
  { echo "transport/peerpb was not what peer.proto generates; it is now: commit it"; exit 1; }

step "scripts/bench: a module of its own"
(cd scripts/bench && go vet ./... && go test ./...)

step "go test -race"
go test -race -timeout 25m ./...
step "go test of the connections (the race detector has them make other system calls)"
go test ./transport ./transport/internal/nonblock ./transport/resp

# Adapters and examples that import another library are modules of their own. The two lanes run side by side, for tests
# wait where builds do not.
lane() { # the flag of go vet and go test, and the modules
  local flag=$1 module
  shift
  for module; do
    step "$module: go vet, go test $flag"
    (cd "$module" && go vet $flag ./... && go test $flag ./...) || return 1
  done
}
lane -race strategy/gorillastore strategy/gocachestore strategy/ginstore examples/fiber >"$tmp/race.log" 2>&1 &
race=$!
# These run a library's own tests, and the program: there is no concurrency of theirs to look at.
lane "" strategy/fibertest examples/deploy >"$tmp/plain.log" 2>&1 &
plain=$!
failed=0
wait "$race" || failed=1
wait "$plain" || failed=1
cat "$tmp/race.log" "$tmp/plain.log"
((!failed))

step "1,000 simulated schedules of faults"
go test ./node/protocol -run 'TestPromises|TestNoLoss' -count=1 -v -sim.schedules 1000

step "fuzzing, 3,000 inputs for each target"
scripts/fuzz.sh

for example in scs login; do
  if [[ -d examples/$example ]]; then
    step "examples/$example"
    go run "./examples/$example"
  fi
done

step "Redis clients of Node.js"
examples/connect-redis/run.sh test

step "examples/connect-redis"
examples/connect-redis/run.sh

step "examples/vendure"
examples/vendure/test.sh

step "huddle demo"
go run ./cmd/huddle demo --for 15s

step "all passed"
