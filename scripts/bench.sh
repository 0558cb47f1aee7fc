#!/usr/bin/env bash
# Measures huddle on this machine beside Redis, Olric, groupcache, bare gRPC, and memory without a network, in one go, and writes results.json,
# RESULTS.md and plots to scripts/bench (--out: to another folder). All but clusters of other sizes is measured twice, in turns, and the better run
# counts: on a machine that is shared, others can only make a run slower. redis-benchmark is run in many short turns, and their medians count.
# Some 18 minutes; --quick takes less than 3 and is coarse. As root it installs Redis if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
command="scripts/bench.sh $*"
out=scripts/bench quick=
while (($#)); do
  case $1 in
    --quick) quick=1 ;;
    --out) out=$(mkdir -p "${2:?--out wants a folder}" && cd "$2" && pwd) && shift ;;
    *) echo "usage: scripts/bench.sh [--quick] [--out FOLDER]" >&2; exit 2 ;;
  esac
  shift
done
if [[ $quick ]]; then
  rounds=1 callers=1,64 for=1s warm=300ms sizes=(1 3) turns=3 keys=20000
else
  rounds=2 callers=1,4,16,64,256 for=2s warm=500ms sizes=(1 2 3 5) turns=24 keys=100000
fi
nodes=3 replicas=2

if ! command -v redis-server >/dev/null || ! command -v redis-benchmark >/dev/null; then
  [[ $(id -u) == 0 ]] || { echo "redis-server and redis-benchmark are missing (Debian: redis-server redis-tools)" >&2; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  RUNLEVEL=1 apt-get install -q -y --no-install-recommends redis-server redis-tools # run level 1: no server is started
fi

work=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
step() { printf '\n== %s\n' "$*" >&2; }
background() { "$@" >>"$work/log" 2>&1 </dev/null & started+=($!); }
# until_ok COMMAND...: tries again for 30 s.
until_ok() {
  for _ in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "not within 30 s: $*" >&2
  tail -5 "$work/log" >&2
  exit 1
}
# Ports that nobody listens on just now.
port=17400
free() {
  while :; do
    port=$((port + 1))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
  done
}

# What else runs on the machine spoils the figures: the report tells.
load=$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || true)
# times: of the processors since the start of the machine, in all, and what its host gave to others.
times() { awk '/^cpu /{t=0; for (i=2; i<=9; i++) t+=$i; print t, $9}' /proc/stat 2>/dev/null || true; }
step "build (load average before: ${load:-not known})"
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
go build -o "$work/huddle" ./cmd/huddle
(cd scripts/bench && go build -o "$work/peers" ./peers && go build -o "$work/report" ./report)

read -r before stolen_before < <(times) || true
step "Redis, with a replica"
free; redis=$port
background redis-server --port "$redis" --bind 127.0.0.1 --unixsocket "$work/redis.sock" --save '' --appendonly no --dir "$work"
until_ok redis-cli -p "$redis" ping
free; replica=$port
background redis-server --port "$replica" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" --replicaof 127.0.0.1 "$redis"
until_ok sh -c "redis-cli -p $redis info replication | grep -q state=online"

# huddle NODES VIA: Gets only, then Sets only.
measure() {
  "$work/huddle" bench --self-contained --nodes "$1" --replicas "$2" --via "$3" --workload read,write --keys "$keys" --callers "$4" \
    --for "$for" --warm "$warm" --json >"$5"
}
for round in $(seq "$rounds"); do
  step "huddle, $nodes nodes: round $round of $rounds"
  measure "$nodes" "$replicas" node,owner,strategy,shared,remote,resp "$callers" "$work/huddle-$round.json"
  step "the others: round $round of $rounds"
  "$work/peers" -callers "$callers" -for "$for" -warm "$warm" -keys "$keys" -nodes "$nodes" -replicas "$replicas" \
    -redis "127.0.0.1:$redis" -redis-unix "$work/redis.sock" >"$work/peers-$round.json"
done

for n in "${sizes[@]}"; do
  step "huddle, $n nodes"
  via=node,resp
  if ((n > replicas)); then via=node,remote,resp; fi
  measure "$n" "$((n < replicas ? n : replicas))" "$via" 64 "$work/nodes-$n.json"
done

step "redis-benchmark"
redis-cli -p "$redis" flushall >/dev/null
join= flags=()
for i in 1 2 3; do
  free; listen=$port; free; resp=$port; free; admin=$port
  flags+=("--name n$i --listen 127.0.0.1:$listen --resp 127.0.0.1:$resp --admin 127.0.0.1:$admin")
  join=$join${join:+,}127.0.0.1:$listen
done
for f in "${flags[@]}"; do
  # shellcheck disable=SC2086 # several words are meant
  background "$work/huddle" serve $f --join "$join" --expect 3 --replicas "$replicas" --max-memory 1GB --log-level warn
done
until_ok "$work/huddle" set --admin "127.0.0.1:$admin" ready yes
# fill PORT: all keys are there, and have been read before, so that a node has them in its memory.
fill() {
  awk -v n="$keys" 'BEGIN {
    v = sprintf("%512s", ""); gsub(/ /, "x", v)
    for (i = 0; i < n; i++) printf "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$512\r\n%s\r\n", i, v
  }' | redis-cli -p "$1" --pipe >>"$work/log" 2>&1
  redis-benchmark -p "$1" -t get -n "$((8 * keys))" -r "$keys" -P 16 -q >>"$work/log" 2>&1
}
fill "$redis"
fill "$resp"
# A second or so each, and in turns: where two are close, a moment of the host would else decide. All GETs come first, for a SET takes the key from
# the memory of a node that read it.
while read -r test pipeline requests; do
  for turn in $(seq "$turns"); do
    servers=("redis $redis" "huddle $resp")
    if ((turn % 2)); then servers=("huddle $resp" "redis $redis"); fi
    for server in "${servers[@]}"; do
      redis-benchmark -p "${server#* }" -t "$test" -n "$requests" -r "$keys" -d 512 -P "$pipeline" --csv \
        >"$work/wire-${server% *}-$test-$pipeline-$turn.csv" 2>>"$work/log" </dev/null
    done
  done
done <<'END'
get 1 60000
get 16 400000
set 1 25000
set 16 80000
END

step "results"
stolen=
if read -r after stolen_after < <(times) && ((after > before)); then
  stolen=$(awk -v t="$((after - before))" -v s="$((stolen_after - stolen_before))" 'BEGIN { printf "%.3f", s / t }')
fi
versions="$(redis-server --version | sed -n 's/.* v=\([^ ]*\).*/Redis \1/p')"
for m in redis/go-redis/v9 buraksezer/olric groupcache/groupcache-go/v3 maypok86/otter/v2; do
  versions+=", $(cd scripts/bench && go list -m -f '{{.Path}} {{.Version}}' "github.com/$m" | sed 's|^github.com/[^/]*/||')"
done
versions+=", $(cd scripts/bench && go list -m -f '{{.Path}} {{.Version}}' google.golang.org/grpc | sed 's|^google.golang.org/||')"
"$work/report" -raw "$work" -out "$out" -command "$command" -versions "$versions" -load "${load:-0}" -stolen "${stolen:-0}" -rounds "$rounds"
