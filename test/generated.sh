#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Compares the generated Go code of api/ with what its generators make of the protobuf files now. Changes nothing.
# Without protoc it installs one (as root on Debian), or says that nothing was compared and exits with 3.
#
# Everything else that is generated has a test that compares it: device/cpu/internal/simd (assembly), test/vectors,
# host (docs/disk.md), and device/cuda (PTX), which needs the clang-19 that kernels/generate.sh names.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v protoc >/dev/null; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "protoc is missing, and this is not root on Debian: the code in api/ is NOT compared with its protobuf files" >&2
		exit 3
	fi
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends protobuf-compiler
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
./api/generate.sh "$made"
./api/worker/v1/generate.sh "$made"

committed() { (cd api && git ls-files '*.pb.go' '*.pb.gw.go' | LC_ALL=C sort); }
generated() { (cd "$made" && find . -name '*.go' | sed 's|^\./||' | LC_ALL=C sort); }
status=0
if ! diff <(committed) <(generated); then
	echo "< is committed and no protobuf file makes it; > is made and not committed" >&2
	status=1
fi
# protoc's version stands in one header, and does not decide what follows it.
for name in $(comm -12 <(committed) <(generated)); do
	diff -u -I '^// 	protoc  ' "api/$name" "$made/$name" || status=1
done
if [ $status != 0 ]; then
	echo "api/ is not what its protobuf files make: run make gen and commit the result" >&2
	exit 1
fi
echo "api/: $(generated | wc -l) generated files are what $(protoc --version) and the pinned plugins make"
