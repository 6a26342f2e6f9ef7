#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the kernels of these tests, with Debian's clang-19 (19.1.7).
set -eu
cd "$(dirname "$0")"
for k in flow product; do
	clang-19 -x cuda --cuda-device-only -nocudainc -nocudalib -std=c++17 -O3 -Wall -Werror -S \
		--cuda-gpu-arch=sm_80 -o $k.ptx $k.cu
done
