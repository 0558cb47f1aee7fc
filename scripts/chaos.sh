#!/bin/sh
# Breaks nodes of a local cluster under load and checks the promises. Flags: see "huddle chaos --help".
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/huddle chaos "$@"
