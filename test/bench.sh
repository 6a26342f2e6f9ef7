#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every figure of the README as one report, with the machine and its load at the head: a figure without them says
# nothing. Each is the median of COUNT runs (default 5), with the least and the most beside it. The chain and the
# epochs are measured CHAINCOUNT times (default 3). None of this is a test; nothing fails for being slow.
#
#   test/bench.sh             all of it, about a quarter of an hour
#   test/bench.sh work chain  some sections: work audit leaves chain epoch
set -u
cd "$(dirname "$0")/.." || exit 1
count=${COUNT:-5} chaincount=${CHAINCOUNT:-3}
sections=${*:-work audit leaves chain epoch}
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
status=0

has() { case " $sections " in *" $1 "*) return 0 ;; esac; return 1; }

# run PACKAGE BENCHMARKS COUNT leaves the benchmarks' lines in $out. Compiling is not measured.
run() {
	go test "$1" -run '^$' -bench "$2" -count "$3" -timeout 2h >"$out" 2>&1 && return
	status=1
	echo "  FAILED: go test $1 -bench $2"
	sed 's/^/    /' "$out"
}

# figure BENCHMARK UNIT TEXT [FACTOR] prints the median of a column.
figure() {
	awk -v name="$1" -v unit="$2" -v text="$3" -v factor="${4:-1}" '
	{ sub(/-[0-9]+$/, "", $1) }
	$1 == "Benchmark" name { for (i = 3; i < NF; i++) if ($(i + 1) == unit) v[++n] = $i * factor }
	function show(x) { return x >= 1000 ? sprintf("%.0f", x) : sprintf("%.3g", x) }
	END {
		if (n == 0) exit
		for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j] < v[j-1]; j--) { t = v[j]; v[j] = v[j-1]; v[j-1] = t }
		m = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
		printf "  %-52s %10s   (%s to %s, %d runs)\n", text, show(m), show(v[1]), show(v[n]), n
	}' "$out"
}

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
[ -n "$cpu" ] || cpu=$(sysctl -n machdep.cpu.brand_string 2>/dev/null) || cpu=unknown
echo "Assay benchmarks"
echo "  machine  $cpu, $(getconf _NPROCESSORS_ONLN) cores, $(uname -sm)"
echo "  Go       $(go version | cut -d ' ' -f 3)"
echo "  commit   $(git describe --always --dirty 2>/dev/null || echo unknown)"
echo "  load     $(uptime | sed 's/.*load average[s]*: //') before; other load makes every figure worse"

if has work; then
	echo "reference work, one thread"
	run ./poc/work/transformer 'Unit$' "$count"
	for class in nano small; do
		figure "Unit/$class" units/s "transformer $class: units per second"
		figure "Unit/$class" Gop/s "transformer $class: 10^9 nominal operations per second"
	done
	run ./poc/prf 'Fill$' "$count"
	figure Fill MB/s "prf: GB per second" 0.001
fi
if has audit; then
	echo "checking, one thread"
	run ./poc/work/matmul 'TileK4096$' "$count"
	figure TileK4096 ns/op "matmul: ms to check a tile of K = 4096" 0.000001
	run ./poc/commit 'Multi200' "$count"
	figure Multi200/verify ns/op "opening of 200 leaves of 2^20: ms to verify" 0.000001
	figure Multi200/prove hashes "  and its hashes"
	run ./poc/audit 'Upper200$' "$count"
	figure Upper200 ns/op "bound on the forged share, 200 samples: ms" 0.000001
fi
if has leaves; then
	echo "leaves of a host, on $(df "${TMPDIR:-/tmp}" | awk 'NR == 2 { print $1 }')"
	run ./host/leaflog '^Benchmark(Append|Inclusion|Multi|Reopen)$' "$count"
	figure Append leaves/s "into the log, fsync per 1,000: leaves per second"
	figure Inclusion proofs/s "from a log of 1,000,000: proofs per second"
	figure Multi openings/s "from a log of 1,000,000: openings of 200 per second"
	figure Reopen ns/op "opening a log of 1,000,000 after a restart: ms" 0.000001
	run ./host/fleet '^Benchmark(Batches|Rerun)$' "$count"
	figure Batches leaves/s "over TLS from one worker: leaves per second"
fi
if has chain; then
	echo "chain of the localnet preset, all nodes on this machine, bursts of 10,000 transfers"
	run ./test/network '^BenchmarkChain$' "$chaincount"
	for nodes in 1 4; do
		figure "Chain/nodes=$nodes" msgs/s "$nodes node(s): messages per second, none lost"
		figure "Chain/nodes=$nodes" idle-ms/block "$nodes node(s): ms between idle blocks"
		figure "Chain/nodes=$nodes" load-ms/block "$nodes node(s): ms between blocks under load"
		figure "Chain/nodes=$nodes" refused-full "$nodes node(s): sent again, the node was full"
	done
fi
if has epoch; then
	echo "bytes on chain per participant and epoch, parameters of a real network"
	go test ./test/sim -run '^$' -bench '^BenchmarkEpoch$/^(4|1000)$' -benchtime 1x -timeout 2h >"$out" 2>&1 || status=1
	grep -v '^\(goos\|goarch\|pkg\|cpu\|PASS\|ok\)' "$out" | sed 's/^/  /'
fi
echo "  load     $(uptime | sed 's/.*load average[s]*: //') after"
exit $status
