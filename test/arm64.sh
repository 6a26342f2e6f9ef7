#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests of device/cpu, and of what it stands on, as arm64 programs: under user-mode emulation (qemu-user, which
# is installed where it is missing, apt-get is at hand and root runs this). First on a processor that has everything,
# then device/cpu once more on one without dot products, which must fall back to the reference. Emulation shows
# that results are right and says nothing about speed.
#
#   test/arm64.sh                        ten minutes on two cores
#   test/arm64.sh ./device/cpu -v        only this, with these flags
#
# device/dynlib is left out: it needs the C library and its loader for arm64.
set -eu
cd "$(dirname "$0")/.."
if ! command -v qemu-aarch64 >/dev/null; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "test/arm64.sh: qemu-aarch64 is missing; install it (Debian: apt-get install qemu-user)" >&2
		exit 1
	fi
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends qemu-user >/dev/null
fi
[ $# -gt 0 ] || set -- ./device/cpu/... ./poc/... ./link/... ./worker/...

# emulated runs tests on a processor model.
emulated() {
	model=$1
	shift
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -exec "qemu-aarch64 -cpu $model" -count=1 -timeout 30m "$@"
}
echo "with dot products (-cpu max)"
# Who reads the log sees that the engine was there and not skipped.
emulated max -run 'TestEveryEngineTestsItself' -v ./device/cpu | grep -e '--- PASS: .*/cpu/neon-dotprod'
emulated max "$@"
echo "without (-cpu cortex-a57)"
emulated cortex-a57 ./device/cpu/...
