#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What takes too long for every change: staticcheck over the whole tree, functions that nothing reaches, and the race
# detector. `make audit` runs it, with the pinned tools in STATICCHECK and DEADCODE.
#
#   test/audit.sh                          all of it
#   test/audit.sh staticcheck deadcode     some of it
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
status=0
step() { printf '\n== %s (%s)\n' "$1" "$(date -u +%H:%M:%S)"; }
has() { case " $sections " in *" $1 "*) return 0 ;; esac; return 1; }
sections=${*:-staticcheck deadcode race}
GOBIN=$tools GOFLAGS= go install "$STATICCHECK"
GOBIN=$tools GOFLAGS= go install "$DEADCODE"

# found NAME TEXT prints what a tool found, and fails.
found() {
	[ -z "$2" ] && return
	printf '%s\n' "$2"
	echo "audit: $1 has findings" >&2
	status=1
}

if has staticcheck; then
	step "staticcheck over the whole tree"
	# Gateways are made by a generator that uses what is deprecated.
	code=0
	"$tools/staticcheck" ./... >"$tools/out" || code=$?
	[ "$code" -le 1 ] || exit "$code"
	found staticcheck "$(grep -v '\.pb\.gw\.go:' "$tools/out" || true)"
fi

if has deadcode; then
	# A function is alive if a program or a test of any package reaches it.
	step "code that nothing reaches"
	"$tools/deadcode" -test -f '{{range .Funcs}}{{printf "%s\t%s\n" .Name .Position}}{{end}}' ./... >"$tools/dead"
	# Allowed, by name and file: an example that compiles and is not run, since it needs a device.
	found deadcode "$(grep -v -E '^Example	device/(cuda|opencl)/example_test\.go:' "$tools/dead" || true)"
fi

if has race; then
	step "the race detector"
	make --no-print-directory race || status=1
fi
exit $status
