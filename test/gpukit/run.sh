#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Proves and measures this machine's GPU in under six minutes and writes gpu-kit.json here. Needs no Go and no root.
# CUDA_VISIBLE_DEVICES=1 ./run.sh takes another GPU of NVIDIA's than the first.
#
#   ./run.sh [-output FILE]
#
# Exit code 0: a GPU is exact and measured. 1: something is wrong. 3: there is no GPU here.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 2
exec "$here/gpukit" -kit "$here" "$@"
