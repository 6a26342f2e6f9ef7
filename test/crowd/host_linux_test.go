// SPDX-License-Identifier: Apache-2.0

package crowd

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/gate"
	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/pool"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

const chain = "assay-crowd-1"

var hostKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{99}, ed25519.SeedSize))

// keyOf is the key of a machine: number i of a kind.
func keyOf(kind string, i int) ed25519.PrivateKey {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", kind, i))
	return ed25519.NewKeyFromSeed(sum[:])
}

// hostPlan is what a host serves.
type hostPlan struct {
	Dir     string
	Members map[string]int // how many machines of a kind the fleet admits
	Compute bool           // the fleet's goal; otherwise idle
	Engine  string         // audits: "reference", otherwise the fastest there is
}

// address is where a host listens, for clients.
type address struct {
	Fleet, Pool string // host:port
}

// question asks a host for its figures.
type question struct {
	Collect bool   // garbage, first
	Profile string // file for a heap profile; optional
	Unit    bool   // what a loop costs
}

// figures are what a host process costs.
type figures struct {
	RSS, Heap, Stacks uint64 // bytes
	Goroutines        int
	CPU               time.Duration // so far
	Connected         int           // workers of the fleet
	Sockets           int           // open files that are sockets
	Accepted          uint64        // submissions
	Refused           uint64        // judged otherwise
	Unit              time.Duration // CPU to recompute one loop of the smallest shape whole
}

// serve is a host: a fleet, and a pool on another port.
func serve(ctx context.Context, to port) error {
	var plan hostPlan
	if err := to.in.Decode(&plan); err != nil {
		return err
	}
	fleet.Threads()
	nodes := map[string]string{}
	for kind, n := range plan.Members {
		for i := range n {
			nodes[string(keyOf(kind, i).Public().(ed25519.PublicKey))] = fmt.Sprintf("%s-%d",
				kind, i)
		}
	}
	logs, err := leaflog.Open(filepath.Join(plan.Dir, "leaves"))
	if err != nil {
		return err
	}
	defer logs.Close()
	f, err := fleet.New(fleet.Config{
		HostKey: hostKey, Listen: "127.0.0.1:0", Chain: chain, Participant: "cpc1crowd", Logs: logs,
		Allow: func(key ed25519.PublicKey) (string, bool) {
			node, ok := nodes[string(key)]
			return node, ok
		},
	})
	if err != nil {
		return err
	}
	if plan.Compute {
		if err := f.SetGoal(fleet.Goal{Kind: fleet.Compute, Epoch: 1, Class: transformer.Nano,
			Seed1: seed.Seed{1}, Segment: 1, SegmentSeed: seed.Seed{2},
			Most: 1 << 40}); err != nil {
			return err
		}
	}
	rules := ledger.Rules{Unlock: mpoc.MaxUnlock, Strikes: 3}
	books, err := ledger.Open(filepath.Join(plan.Dir, "ledger"), rules, ledger.Amount{})
	if err != nil {
		return err
	}
	defer books.Close()
	engine, err := auditor(ctx, plan.Engine)
	if err != nil {
		return err
	}
	pay, err := ledger.ParseAmount("1000000000000")
	if err != nil {
		return err
	}
	p, err := pool.New(pool.Config{
		HostKey: hostKey, Chain: chain, State: filepath.Join(plan.Dir, "pool"), Ledger: books,
		Rules: rules, Pay: pay,
		Engine: engine, Duration: 100 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer p.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	tls, err := link.ServerTLS(hostKey)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: p.Handler(), TLSConfig: tls, ConnContext: link.ConnContext,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10,
		ErrorLog: log.New(io.Discard, "", 0), // hostile machines would fill it
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 3)
	go func() { ended <- f.Run(ctx) }()
	go func() { ended <- p.Run(ctx) }()
	go func() { ended <- server.ServeTLS(gate.Listen(listener), "", "") }()
	defer func() {
		cancel()
		server.Close()
		for range 3 {
			<-ended
		}
	}()
	fleetAt, err := link.ParseAddress(f.URL())
	if err != nil {
		return err
	}
	if err := to.out.Encode(address{fleetAt.HostPort, listener.Addr().String()}); err != nil {
		return err
	}
	for {
		var q question
		if err := to.in.Decode(&q); err != nil {
			return err
		}
		a, err := measure(q)
		if err != nil {
			return err
		}
		for _, s := range f.Status() {
			if s.Connected {
				a.Connected++
			}
		}
		s, err := p.Status()
		if err != nil {
			return err
		}
		if q.Unit {
			if a.Unit, err = unitTime(ctx, engine); err != nil {
				return err
			}
		}
		a.Accepted, a.Refused = s.Accepted, s.Faulty+s.Rejected+s.Failed+s.Late
		if err := to.out.Encode(a); err != nil {
			return err
		}
	}
}

func measure(q question) (figures, error) {
	if q.Collect {
		debug.FreeOSMemory() // collects
	}
	if q.Profile != "" {
		file, err := os.Create(q.Profile)
		if err != nil {
			return figures{}, err
		}
		if err := errors.Join(pprof.WriteHeapProfile(file), file.Close()); err != nil {
			return figures{}, err
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	rss, err := residentBytes()
	return figures{RSS: rss, Heap: m.HeapAlloc, Stacks: m.StackInuse,
		Goroutines: runtime.NumGoroutine(), CPU: cpuTime(), Sockets: openSockets()}, err
}

// unitTime is what a loop costs an engine, after one to get going.
func unitTime(ctx context.Context, by mpoc.Recompute) (time.Duration, error) {
	const n = 4
	var begin time.Duration
	for i := range uint64(n + 1) {
		if i == 1 {
			begin = cpuTime()
		}
		if _, err := by.Unit(ctx, seed.Seed{}, mpoc.Shapes()[0], i); err != nil {
			return 0, err
		}
	}
	return (cpuTime() - begin) / n, nil
}

// residentBytes is the process's resident memory.
func residentBytes() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, err
	}
	return resident * uint64(os.Getpagesize()), nil
}

// cpuTime is what the process has used, the kernel's work for it included.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func openSockets() (n int) {
	list, _ := os.ReadDir("/proc/self/fd") // counted for a report only
	for _, f := range list {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && len(to) > 7 &&
			to[:7] == "socket:" {
			n++
		}
	}
	return n
}

// auditor recomputes for a pool.
func auditor(ctx context.Context, name string) (mpoc.Recompute, error) {
	if name == "reference" {
		return mpoc.Reference(), nil
	}
	e, err := cpu.New(ctx)
	if err != nil {
		return nil, err
	}
	tiler, ok := e.(tiler)
	if !ok {
		return mpoc.Reference(), nil
	}
	return fast{e, tiler}, nil
}

type tiler interface {
	Tile(challenge seed.Seed, unit uint64, shape matmul.Shape, ti, tj int) ([32]byte, error)
}

// fast recomputes with an engine.
type fast struct {
	work.Engine
	tiler
}

func (f fast) Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64,
	tile uint32) ([32]byte, error) {
	if err := ctx.Err(); err != nil {
		return [32]byte{}, err
	}
	columns := uint32(shape.Columns())
	return f.tiler.Tile(challenge, unit, shape, int(tile/columns), int(tile%columns))
}

func (f fast) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) ([32]byte, error) {
	var digest [1][32]byte
	err := f.Matmul(ctx, digest[:], challenge, shape, []uint64{unit})
	return digest[0], err
}
