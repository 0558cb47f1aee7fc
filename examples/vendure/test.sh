#!/usr/bin/env bash
# Checks the example on a real Vendure with a real PostgreSQL, or measures it:
#
#   ./test.sh            the plugin's tests, then the shop's
#   ./test.sh measure    how long the look-up of a session takes, with each way of keeping sessions
#
# As root it installs what is missing of PostgreSQL, Node.js and (to measure) Redis. It ends what it started.
set -euo pipefail
cd "$(dirname "$0")"
exec </dev/null
export DEBIAN_FRONTEND=noninteractive VENDURE_DISABLE_TELEMETRY=true CI=true
what=${1:-test}

step() { printf '\n== vendure: %s\n' "$*"; }

# Everything of one run is in one directory, and gone at the end. PostgreSQL's user passes through it.
tmp=$(mktemp -d)
chmod 711 "$tmp"
as_postgres=()
pids=()
stop() {
  local status=$? pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  rm -rf "$tmp"
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "what the example needs"
install() {
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "missing: $* (names of Debian packages)"
    exit 1
  fi
  apt-get update -q
  # Run level 1: the packages must not start servers of their own.
  RUNLEVEL=1 apt-get install -q -y --no-install-recommends "$@"
}
postgres_bin() { find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -V | tail -1; }
missing=()
[[ -n $(postgres_bin) ]] || missing+=(postgresql)
command -v npm >/dev/null || missing+=(nodejs npm)
[[ $what != measure ]] || command -v redis-server >/dev/null || missing+=(redis-server)
if ((${#missing[@]})); then install "${missing[@]}"; fi
. ../../scripts/node.sh
need_node "$tmp"
pg=$(dirname "$(postgres_bin)")
echo "node $(node --version), npm $(npm --version), $("$pg/postgres" --version)"

step "npm ci, build"
npm ci --no-audit --no-fund --loglevel=error
npm run --silent build
go build -o "$tmp/huddle" ../../cmd/huddle
export HUDDLE_BINARY=$tmp/huddle

if [[ $what == test ]]; then
  step "tests of the plugin"
  npm test --silent --workspace plugin
fi

step "a database with the schema of the shop"
free_port() { node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
port=$(free_port)
mkdir "$tmp/db"
if [[ $(id -u) == 0 ]]; then # it refuses to run as root
  chown postgres "$tmp/db"
  as_postgres=(setpriv --reuid postgres --regid postgres --init-groups --)
fi
(cd "$tmp/db" && "${as_postgres[@]}" "$pg/initdb" -D "$tmp/db" -U shop -A trust --no-instructions >"$tmp/db.log")
(cd "$tmp/db" && exec "${as_postgres[@]}" "$pg/postgres" -D "$tmp/db" -p "$port" -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories= >>"$tmp/db.log" 2>&1) &
pids+=($!)
until "$pg/pg_isready" -q -h 127.0.0.1 -p "$port"; do
  kill -0 "${pids[-1]}" || { cat "$tmp/db.log"; exit 1; }
  sleep 0.1
done
export SHOP_DB=postgres://shop@127.0.0.1:$port/postgres
SHOP_SETUP=1 SHOP_CACHE=database SHOP_PORT=$(free_port) node dist/src/shop.js >"$tmp/setup.log" || { cat "$tmp/setup.log"; exit 1; }

case $what in
  test)
    step "tests of the shop"
    npm test --silent
    ;;
  measure)
    step "Redis"
    redis_port=$(free_port)
    redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$tmp" >"$tmp/redis.log" &
    pids+=($!)
    step "figures"
    SHOP_REDIS=127.0.0.1:$redis_port node dist/test/measure.js
    ;;
  *)
    echo "usage: $0 [measure]"
    exit 2
    ;;
esac
