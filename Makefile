# Assay: make help
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
DEADCODE := golang.org/x/tools/cmd/deadcode@v0.47.0
LIGHT := ./poc/... ./device/... ./device/cpu/internal/simd/_asm/arm64 ./internal/... ./link/... ./worker/... ./cmd/assay-worker/... ./host/leaflog/... ./host/fleet/... ./host/gate/... ./host/batch/... ./host/ledger/... ./host/pool/... ./api/worker/... ./api/mpoc/... ./test/peers/... ./test/crowd/... ./test/pool/... ./test/gpukit/...

.DEFAULT_GOAL := help
.PHONY: help long python build test test-arm64 race lint staticcheck audit gpu-kit gen soak coalitions crowd flips networks full-disk terminal year fuzz bench bench-peers release localnet vectors man

help: ## this list
	@awk -F': ## ' '/^[a-z0-9-]+: ## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

long: ## the long tests, each by its own name, and how long each takes
	@awk -F': ### ' '/^[a-z0-9-]+: ### /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## assay and assay-worker into bin/
	go build -o bin/ ./cmd/...

test: ## what the README says: go test ./...
	go test ./...

test-arm64: ## the engine for arm64, and what it stands on, under emulation (installs qemu-user; 10 minutes)
	./test/arm64.sh

race: ## the race detector over host, worker and poc (the first run compiles the SDK once more)
	go test -race ./poc/... ./link/... ./worker/... ./host/...

lint: ## formatting, vet, staticcheck, layering and determinism
	test -z "$$(gofmt -l $$(git ls-files '*.go' | grep -v '\.pb'))"
	go vet ./...
	$(MAKE) --no-print-directory staticcheck
	go test ./test/lint/...

staticcheck:
	go run $(STATICCHECK) $(LIGHT)

audit: ### staticcheck over the whole tree, functions that nothing reaches, the race detector (the first time an hour on two cores; 7.5 GB of memory)
	STATICCHECK=$(STATICCHECK) DEADCODE=$(DEADCODE) ./test/audit.sh

gen: ## regenerate protobuf code (needs protoc)
	go generate ./api/...

vectors: ## regenerate the published vectors; a diff is a change of the protocol
	go test ./test/vectors -update
	go test ./chain/x/sprint -run TestVerdictVectors -update

soak: ### the full lengths: 20 honest epochs, nobody rejected, nobody stuck; votes at their extremes (30 minutes)
	ASSAY_SOAK=1 go test ./test/network -run Soak -count=1 -timeout 3h -v

year: ### a year of a host with 100 machines: failing disk, restarts, clocks, restores (5 minutes with TMPDIR in memory, up to an hour on a slow disk)
	ASSAY_LONG=1 go test ./host -run TestAYear -count=1 -timeout 6h -v

coalitions: ### coalitions, renting, outages and honest faults on the real rules, all tactics and sizes, with tables (12 minutes)
	ASSAY_LONG=1 go test ./chain/x/sprint -run 'Coalition|Presence|Outage|Honest' -count=1 -timeout 3h -v

flips: ### 10,000 flipped bits and 1,000 files cut short in what worker, host and localnet keep, and in the host's stores (3 minutes)
	./test/flips.sh

networks: ### networks that prove between Sprints, and that rotate their keys (3 minutes)
	ASSAY_LONG=1 go test ./test/network -run 'MachinesProve|KeysRotate' -count=1 -timeout 30m -v

full-disk: ### the disk of worker, pool, host and node full at every write in turn, and disks of a few megabytes in a network (7 minutes)
	ASSAY_LONG=1 go test ./worker/... ./host/... ./chain/... ./localnet ./test/pool ./test/network -run 'Fills|FullDisk|DiskIsFull' -count=1 -timeout 2h -v

crowd: ### 10,000 idle workers, hundreds that submit, honest ones beside 1,000 hostile: what a host costs (7 minutes)
	ASSAY_LONG=1 go test ./test/crowd -count=1 -timeout 1h -v

terminal: ### the screens of worker and host and the account of localnet in real pseudo-terminals of three sizes, with and without colour, through ten minutes of changing heights (11 minutes)
	ASSAY_LONG=1 go test ./internal/terminal ./worker/screen ./host/screen ./localnet -run NoGhostLines -p 4 -parallel 24 -count=1 -timeout 30m -v

python: ### the second implementation: every wrong one fails a vector, and 200 changed digits do (5 minutes)
	ASSAY_LONG=1 go test ./test/python -count=1 -timeout 30m -v

fuzz: ## each fuzz target for FUZZTIME, a minute by default
	./test/fuzz.sh

bench: ## every figure of the README, with the machine it was measured on; bench-peers: beside OpenBLAS, oneDNN and torch
	./test/bench.sh

# What is missing comes from apt-get where it can; PEERS=-json for figures that a program reads.
bench-peers:
	go run ./test/peers -install $(PEERS)

gpu-kit: ### dist/gpu-kit, a folder that proves and measures the GPU of a machine without Go: run.sh there (under 6 minutes)
	./test/gpukit/build.sh

release: ## the worker for all platforms into dist/, built twice and compared
	./cmd/assay-worker/release.sh

# A manual page for every command of both programs, into man/.
man:
	go run ./cmd/assay manual man
	go run ./cmd/assay-worker manual man

localnet: ## a whole network on this machine
	go run ./cmd/assay localnet
