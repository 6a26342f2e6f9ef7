#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target of the repository, one after the other, for FUZZTIME each (default 60s), and goes on after a
# failure, so that one run tells about all of them. The exit status is 1 if any failed. A failing input is written
# below the package's testdata/fuzz, where `go test` tries it from then on.
#
#   FUZZTIME=10s test/fuzz.sh            all of them
#   test/fuzz.sh ./poc/... ./link        those of some folders
set -u
cd "$(dirname "$0")/.." || exit 1
time=${FUZZTIME:-60s}
[ $# -gt 0 ] || set -- ./...

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
failed=0 targets=0
for folder; do
	# "./poc/..." is a tree, "./poc" a folder
	case $folder in
	*/...) files=$(find "${folder%/...}" -name '*_test.go' | sort) ;;
	*) files=$(find "$folder" -maxdepth 1 -name '*_test.go' | sort) ;;
	esac
	for file in $files; do
		for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
			targets=$((targets + 1))
			package=$(dirname "$file")
			if go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" >"$log" 2>&1; then
				printf 'ok    %-24s %-22s %s\n' "$package" "$target" \
					"$(sed -n 's/^fuzz: elapsed: \(.*\)$/\1/p' "$log" | tail -n 1)"
			else
				failed=$((failed + 1))
				printf 'FAIL  %-24s %s\n' "$package" "$target"
				sed 's/^/      /' "$log"
			fi
		done
	done
done
echo "$targets fuzz targets for $time each, $failed failed"
[ "$targets" -gt 0 ] && [ "$failed" -eq 0 ]
