#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Damages every kind of file of node, host, worker and localnet, bit by bit and by cutting it short, and sums up what
# became of it: a line for each test, and a total. The exit status is 1 where a test fails, or where the total is below
# 10,000 flips and 1,000 cuts. Which test damages which kind of file is said by the tables of what is kept (Kept).
set -u
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
began=$(date +%s)
ASSAY_LONG=1 go test ./accounts ./chain/node ./worker ./worker/pool ./host ./host/store ./host/ledger ./host/pool \
	./host/leaflog ./verify ./localnet -p 1 -run 'Flips|EveryByte|DamagedBook|PageWithin' -count=1 -timeout 2h -v >"$log" 2>&1
failed=$?
grep -E '^(--- FAIL|FAIL|panic:)|: panic: ' "$log"
awk '
/ flips and [0-9]+ cuts of [0-9]+ files: / {
	sub(/^ *[a-z_]+\.go:[0-9]+: /, "")
	n++; lines[n] = $0; flips += $1; cuts += $4
	for (i = 1; i < NF; i++) {
		if ($(i+1) == "changed") same += $i
		if ($(i+1) == "were" && $(i+2) == "refused,") refused += $i
		if ($(i+1) == "were" && $(i+2) == "mended") mended += $i
	}
}
/^ok |^FAIL\t/ {
	for (i = 1; i <= n; i++) printf "%-16s %s\n", substr($2, length("github.com/assaynet/assay/") + 1), lines[i]
	n = 0
}
END {
	printf "together         %d flips and %d cuts: %d changed nothing, %d were refused, %d were mended\n", flips, cuts, same, refused, mended
	exit flips < 10000 || cuts < 1000
}' "$log" || failed=1
echo "in $(($(date +%s) - began)) seconds"
[ "$failed" -eq 0 ] || { cp "$log" flips.log && echo "the whole account is in flips.log"; }
exit "$failed"
