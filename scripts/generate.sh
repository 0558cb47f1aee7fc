#!/usr/bin/env bash
# Generates transport/peerpb from peer.proto. Needs protoc 3.21; the plug-ins come from tools/go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -modfile=tools/go.mod -o "$bin/" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc \
  github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto
PATH="$bin:$PATH" protoc --go_out=. --go_opt=module=github.com/huddle-cache/huddle \
  --go-grpc_out=. --go-grpc_opt=module=github.com/huddle-cache/huddle \
  --go-vtproto_out=. --go-vtproto_opt=module=github.com/huddle-cache/huddle,features=marshal+unmarshal+size transport/peerpb/peer.proto
