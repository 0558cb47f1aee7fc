#!/bin/sh
# Shows a cluster of real processes at work on this machine. Flags: see "huddle demo --help".
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/huddle demo "$@"
