#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Generates worker.pb.go with the one generator version this repository pins, into
# api/ or the folder that is named. Needs protoc on PATH; installs nothing outside
# a temporary directory.
set -eu
to=$(cd "${1:-$(dirname "$0")/../..}" && pwd)
cd "$(dirname "$0")"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
trap 'rm -rf "$bin"' EXIT
GOBIN="$bin" GOFLAGS= go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
PATH="$bin:$PATH" protoc -I ../../proto \
	--go_out="$to" --go_opt=module=github.com/assaynet/assay/api \
	assay/worker/v1/worker.proto
