// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/link"
	poc "github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
)

// The fleet's figures belong to a quiet machine, so this runs when asked for:
//
//	ASSAY_LONG=1 go test ./test/pool -run TestFleet -v
//
// Clients are this program again, in processes of their own. Every one has an
// address of its own in 127.0.0.0/8, as strangers have.
const childEnv = "ASSAY_POOL_CHILD" // kind, host:port, first, count; or machine, address, home

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		f := strings.Fields(text)
		if f[0] == "machine" {
			os.Exit(machineAlone(f[1], f[2]))
		}
		first, _ := strconv.Atoi(f[2])
		count, _ := strconv.Atoi(f[3])
		os.Exit(child(f[0], f[1], first, count))
	}
	os.Exit(m.Run())
}

// few loops are enough to be looked at: what is measured is the host.
const few = 3

// clientKey is the key of client i.
func clientKey(i int) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	binary.LittleEndian.PutUint64(seed, uint64(i)+1000)
	return ed25519.NewKeyFromSeed(seed)
}

// dialer connects as client i, from its own address.
func dialer(i int) func(ctx context.Context, network, at string) (net.Conn, error) {
	config, err := link.ClientTLS(clientKey(i), link.FingerprintOf(keyOf(1).Public().(ed25519.PublicKey)))
	if err != nil {
		panic(err)
	}
	d := tls.Dialer{Config: config, NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}}}
	return d.DialContext
}

// child runs clients until its input ends.
func child(kind, at string, first, count int) int {
	ctx, cancel := context.WithCancel(context.Background())
	var up sync.WaitGroup
	room := make(chan struct{}, 16) // handshakes at a time
	for i := first; i < first+count; i++ {
		up.Add(1)
		go func() {
			ready := sync.OnceFunc(func() { <-room; up.Done() })
			room <- struct{}{}
			live(ctx, kind, at, i, ready)
			ready()
		}()
	}
	up.Wait()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	return 0
}

// live is one client.
func live(ctx context.Context, kind, at string, i int, ready func()) {
	dial := dialer(i)
	if kind == "hostile" {
		kind = []string{"slow", "idle", "lying", "flapping"}[i%4]
	}
	pause := func(d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d/2 + rand.N(d)):
		}
	}
	switch kind {
	case "idle": // a socket that says nothing, and answers pings
		client := &http.Client{Transport: &http.Transport{DialTLSContext: dial}}
		s, _, err := websocket.Dial(ctx, "wss://"+at+mpocv1.PathSocket, &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			fmt.Fprintln(os.Stderr, "socket:", err)
			return
		}
		ready()
		_, _, _ = s.Read(ctx)
	case "slow": // a request that never ends
		for ctx.Err() == nil {
			c, err := dial(ctx, "tcp", at)
			ready()
			if err != nil {
				pause(time.Second)
				continue
			}
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n", mpocv1.PathProofs)
			for ctx.Err() == nil {
				if _, err := c.Write([]byte(" ")); err != nil {
					break
				}
				pause(time.Second)
			}
			c.Close()
		}
	case "flapping":
		for ctx.Err() == nil {
			if c, err := dial(ctx, "tcp", at); err == nil {
				c.Close()
			}
			ready()
			pause(2 * time.Second)
		}
	case "lying": // forged logs that open, by one key after the other
		ready()
		for n := 0; ctx.Err() == nil; n++ {
			t := &quiet{}
			h := &hand{t: t, n: &network{at: at, t: t}, key: clientKey(i + 100_000*(1+n/3)), http: &http.Client{Transport: &http.Transport{DialTLSContext: dial, DisableKeepAlives: true}}}
			h.n.config.HostKey = keyOf(1)
			func() {
				defer func() { _ = recover() }() // refused, for example
				h.register()
				s := h.compute(0, nil)
				for j := range few {
					made := make([][32]byte, s.Terms.Shape.Matmul().Tiles())
					_ = forger{}.Tiles(ctx, made, seed.Seed(s.Terms.Seed), s.Terms.Shape.Matmul(), uint64(j)) // never fails
					s.tiles = append(s.tiles, made)
				}
				s.tree = treeOf(s.Terms, s.tiles)
				s.Commit = poc.Commit{Loops: few, ComputeTime: 20, MerkleRoot: s.tree.Root()}
				_ = h.commit(s)
				_, _ = h.send(s, h.opened(s, 0))
			}()
			pause(5 * time.Second)
		}
	}
}

// quiet is a testing.TB of clients whose failures do not count.
type quiet struct{ testing.TB }

func (*quiet) Helper()                  {}
func (*quiet) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }
func (*quiet) Fatalf(string, ...any)    { panic("failed") }
func (*quiet) Context() context.Context { return context.Background() }

// children starts clients in processes and waits until they are up.
func children(t *testing.T, kind, at string, first, count int) (stop func()) {
	t.Helper()
	const each = 2000
	var stops []func()
	for begin := first; begin < first+count; begin += each {
		// Strangers have processors of their own: theirs must not be taken from the host.
		cmd := exec.Command("nice", "-n", "19", os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %d", childEnv, kind, at, begin, min(each, first+count-begin)))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stops = append(stops, sync.OnceFunc(func() { _ = in.Close(); _ = cmd.Wait() }))
		t.Cleanup(stops[len(stops)-1])
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			t.Fatalf("clients: %q, %v", line, err)
		}
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// resident is the memory of this process, in bytes.
func resident(t *testing.T) uint64 {
	t.Helper()
	runtime.GC()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("needs /proc")
	}
	pages, err := strconv.ParseUint(string(bytes.Fields(text)[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * uint64(os.Getpagesize())
}

// acknowledged makes machines submit at their pace for a while, and returns how
// long commits and proofs waited for their answers, sorted.
func acknowledged(t *testing.T, hands []*hand, pace, span time.Duration) (commits, proofs []time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var running sync.WaitGroup
	end := time.Now().Add(span)
	for _, h := range hands {
		running.Go(func() {
			for time.Sleep(rand.N(2 * pace)); time.Now().Before(end); time.Sleep(rand.N(2 * pace)) {
				s := h.compute(few, nil)
				began := time.Now()
				if err := h.commit(s); err != nil {
					t.Error(err)
					return
				}
				committed := time.Now()
				if r := h.answer(s); r.Outcome.Status != poc.Accepted {
					t.Errorf("honest: %+v", r.Outcome)
				}
				mu.Lock()
				commits, proofs = append(commits, committed.Sub(began)), append(proofs, time.Since(committed))
				mu.Unlock()
			}
		})
	}
	running.Wait()
	slices.Sort(commits)
	slices.Sort(proofs)
	return commits, proofs
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// A large fleet on one host: what a connection costs, how fast submissions are
// taken, and what strangers who only want to disturb can do to others.
func TestFleet(t *testing.T) {
	if os.Getenv("ASSAY_LONG") == "" {
		t.Skip("ASSAY_LONG=1 runs it: minutes, and figures")
	}
	n := newNetwork(t, func(n *network) {
		n.quiet = true
		n.config.Rules = ledger.Rules{Unlock: 1000, Strikes: 3}
	})
	number := func(name string, otherwise int) int {
		if v, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return v
		}
		return otherwise
	}
	idle := number("ASSAY_FLEET", 10_000)

	before := resident(t)
	stop := children(t, "idle", n.at, 0, idle)
	used := resident(t) - before
	t.Logf("%d idle connections: %d KiB of the host's memory each", idle, used/1024/uint64(idle))

	machines := func(first, count int) (list []*hand) {
		for i := first; i < first+count; i++ {
			transport := &http.Transport{DialTLSContext: dialer(i)}
			t.Cleanup(transport.CloseIdleConnections)
			h := &hand{t: t, n: n, key: clientKey(i), http: &http.Client{Transport: transport}}
			list = append(list, h.register())
			h.judged(h.compute(few, nil)) // known to the host from here on
		}
		return list
	}
	hundreds := machines(20_000, 200)
	const span = 15 * time.Second
	began := n.status().Accepted
	acknowledged(t, hundreds, 100*time.Millisecond, span)
	rate := float64(n.status().Accepted-began) / span.Seconds()
	t.Logf("%d machines beside them: %.0f submissions a second, clients and audits on the same %d cores", len(hundreds), rate, runtime.NumCPU())
	stop()

	honest := machines(30_000, 100)
	alone, aloneProofs := acknowledged(t, honest, 10*time.Second, 40*time.Second)
	children(t, "hostile", n.at, 40_000, 1000)
	beside, besideProofs := acknowledged(t, honest, 10*time.Second, 40*time.Second)
	t.Logf("p99 to acknowledge a commit of 100 honest machines: %v alone (%d), %v beside 1000 hostile ones (%d)", p99(alone), len(alone), p99(beside), len(beside))
	t.Logf("p99 to judge a proof: %v alone, %v beside them", p99(aloneProofs), p99(besideProofs))
	s := n.status()
	t.Logf("host: %+v", s)
	for _, h := range honest {
		if a := n.standing(h.key); a.Strikes != 0 || !a.Forfeited.IsZero() {
			t.Errorf("an honest machine lost something: %+v", a)
		}
	}
}
