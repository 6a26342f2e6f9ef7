#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Regenerates the Go code of the chain's protobuf files, into this folder or the one that is named. Needs protoc
# (Debian: protobuf-compiler); the two plugins are built from the module versions pinned below. Run by
# `go generate ./api`, and by test/generated.sh.
set -euo pipefail
to=$(cd "${1:-$(dirname "$0")}" && pwd)
cd "$(dirname "$0")"
bin=$(mktemp -d); trap 'rm -rf "$bin"' EXIT
GOBIN=$bin GOFLAGS= go install github.com/cosmos/gogoproto/protoc-gen-gocosmos@v1.7.2
GOBIN=$bin GOFLAGS= go install github.com/grpc-ecosystem/grpc-gateway/protoc-gen-grpc-gateway@v1.16.0
dir() { go list -m -f '{{.Dir}}' "$1"; }
gateway=$(go mod download -json github.com/grpc-ecosystem/grpc-gateway@v1.16.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cosmosproto=$(dir github.com/cosmos/cosmos-proto)
out=$bin/out; mkdir "$out"
for module in beacon collateral registry court sprint credit stream; do
  PATH=$bin:$PATH protoc -I proto \
    -I "$(dir github.com/cosmos/cosmos-sdk)/proto" -I "$(dir github.com/cosmos/gogoproto)" -I "$(dir github.com/cosmos/gogoproto)/protobuf" \
    -I "$cosmosproto/proto" -I "$gateway/third_party/googleapis" \
    --gocosmos_out=plugins=grpc,Mgoogle/protobuf/any.proto=github.com/cosmos/gogoproto/types/any:"$out" \
    --grpc-gateway_out=logtostderr=true:"$out" \
    proto/assay/$module/v1/*.proto
done
cp -r "$out"/github.com/assaynet/assay/api/* "$to"
