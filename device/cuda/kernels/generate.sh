#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Compiles the kernels to PTX, into this folder or the one that is named. The
# files that are committed are those of Debian's clang-19, 1:19.1.7-3~deb12u1
# (apt-get install --no-install-recommends clang-19); other versions give other
# text. No file of NVIDIA's is needed.
set -eu
cd "$(dirname "$0")"
to=${1:-.}
compile() { # source target ptx-version
	clang-19 -x cuda --cuda-device-only -nocudainc -nocudalib -std=c++17 -O3 -Wall -Werror -S \
		--cuda-gpu-arch="$2" -Xclang -target-feature -Xclang "+$3" -o "$to/$1_$2.ptx" "$1.cu"
}
for source in matmul transformer; do
	compile $source sm_75 ptx65
	compile $source sm_80 ptx70
done
