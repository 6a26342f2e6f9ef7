#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the folder that proves and measures the GPU of a machine without Go: `make gpu-kit`. Copy it there whole and
# start run.sh. PLATFORM=linux/arm64 builds it for another machine; OUT=FOLDER puts it elsewhere.
set -euo pipefail
cd "$(dirname "$0")/../.."
platform=${PLATFORM:-linux/$(go env GOARCH)} to=${OUT:-dist/gpu-kit}
commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
rm -rf "$to"
mkdir -p "$to/test/vectors"
export CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} GOFLAGS=
flags=(-trimpath)
go build "${flags[@]}" -ldflags '-s -w -buildid=' -o "$to/assay-worker" ./cmd/assay-worker
go build "${flags[@]}" -ldflags "-s -w -buildid= -X main.commit=$commit" -o "$to/gpukit" ./test/gpukit
for engine in cuda opencl cpu; do
	mkdir -p "$to/device/$engine"
	go test -c "${flags[@]}" -ldflags '-s -w -buildid=' -o "$to/device/$engine/$engine.test" "./device/$engine"
done
cp test/gpukit/run.sh test/gpukit/int_mm.py "$to"
cp test/vectors/*.json "$to/test/vectors"
size=$(du -sm "$to" | cut -f 1)
if [ "$size" -gt 64 ]; then
	echo "gpu-kit: $to has $size MiB; at most 64 are right, so that it is copied in a moment" >&2
	exit 1
fi
echo "gpu-kit: $to, $size MiB, of $commit for $platform; copy it to the machine and start run.sh there"
