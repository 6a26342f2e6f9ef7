// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestAddress(t *testing.T) {
	for _, same := range [][2]string{
		{"10.0.0.1:1", "10.0.0.1:2"},
		{"[2001:db8:1:2:3::4]:1", "[2001:db8:1:ff:ffff::]:9"},
		{"10.0.0.1:1", "[::ffff:10.0.0.1]:7"},
		{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1"},
	} {
		if a, b := Address(same[0]), Address(same[1]); a != b || !a.IsValid() {
			t.Errorf("%s is %s and %s is %s", same[0], a, same[1], b)
		}
	}
	if Address("10.0.0.1:1") == Address("10.0.0.2:1") ||
		Address("[2001:db8:1:2::]:1") == Address("[2001:db8:1:102::]:1") {
		t.Error("two addresses are one")
	}
	if a := Address("nonsense"); a.IsValid() {
		t.Errorf("nonsense is %s", a)
	}
}

// Holds spec H-11.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates(2, 4)
		for i, want := range []time.Duration{0, 0, 0, 0, 500 * time.Millisecond} {
			if wait := r.Take("10.0.0.1:1", 1); wait != want {
				t.Errorf("take %d waits %s, want %s", i, wait, want)
			}
		}
		if wait := r.Take("10.0.0.2:1", 9); wait != 0 {
			t.Errorf("more than a burst waits %s, want the whole burst", wait)
		}
		time.Sleep(500 * time.Millisecond) // of the bubble
		if wait := r.Take("10.0.0.1:1", 1); wait != 0 {
			t.Errorf("after its wait it waits %s", wait)
		}
		if wait := r.Take("10.0.0.1:1", 4); wait != 2*time.Second {
			t.Errorf("a burst waits %s, want 2 s", wait)
		}
	})
}

// pair is a listener's side of a connection from an address.
type pair struct {
	net.Conn
	from net.Addr
}

func (p pair) RemoteAddr() net.Addr { return p.from }

type script struct {
	net.Listener
	conns []net.Conn
}

func (s *script) Accept() (net.Conn, error) {
	if len(s.conns) == 0 {
		return nil, net.ErrClosed
	}
	c := s.conns[0]
	s.conns = s.conns[1:]
	return c, nil
}

// Time stands still: how long the machine takes is no part of an address's rate.
func TestListen(t *testing.T) { synctest.Test(t, listens) }

func listens(t *testing.T) {
	s := &script{}
	l := Listen(s)
	dial := func(last byte, n int) {
		for range n {
			here, _ := net.Pipe()
			s.conns = append(s.conns,
				pair{here, &net.TCPAddr{IP: net.IPv4(10, 0, 0, last), Port: 1}})
		}
	}
	accepted := func() (list []net.Conn) {
		for {
			c, err := l.Accept()
			if err != nil {
				return list
			}
			list = append(list, c)
		}
	}
	dial(1, PerAddress+10)
	dial(2, 5)
	all := accepted()
	if len(all) != PerAddress+5 {
		t.Fatalf("%d connections, want %d of one address and 5 of the other", len(all), PerAddress)
	}
	for range 2 { // closing again frees nothing more
		for _, c := range all {
			_ = c.Close()
		}
	}
	if inner := l.(*listener); inner.total != 0 || len(inner.held) != 0 {
		t.Errorf("all are closed, and %d of %d addresses are held", inner.total, len(inner.held))
	}
	dial(1, 1)
	if again := accepted(); len(again) != 0 {
		t.Error("an address opens more than its rate")
	}
}

// Messages of every size come out as they went in, however they are cut.
func TestReadSizes(t *testing.T) {
	whole := make([]byte, 5*step/2)
	for i := range whole {
		whole[i] = byte(i ^ i>>8 ^ i>>16)
	}
	room := NewRoom(1 << 20)
	for _, size := range []int{0, 1, 511, 512, 513, small, small + 1, step - 1, step, step + 1,
		2 * step, 2*step + 1, len(whole)} {
		for name, from := range map[string]io.Reader{"at once": bytes.NewReader(whole[:size]),
			"in halves":    iotest.HalfReader(bytes.NewReader(whole[:size])),
			"with its end": iotest.DataErrReader(bytes.NewReader(whole[:size]))} {
			body, free, err := Read(from, func() *Room { return room }, func() {})
			if err != nil || !bytes.Equal(body, whole[:size]) {
				t.Errorf("%d bytes %s: %d, %v", size, name, len(body), err)
			}
			free()
		}
	}
	if room.left != 1<<20 {
		t.Errorf("%d bytes are left", room.left)
	}
}

// Where all places are taken, the address with most of them loses its oldest to one
// with fewer; and nobody loses one to somebody with as many.
func TestListenIsFair(t *testing.T) {
	s := &script{}
	l := listen(s, 6)
	dial := func(last byte) (taken bool) {
		here, _ := net.Pipe()
		s.conns = append(s.conns, pair{here, &net.TCPAddr{IP: net.IPv4(10, 0, 0, last), Port: 1}})
		_, err := l.Accept()
		return err == nil
	}
	for range 5 {
		dial(1)
	}
	dial(2)
	first := l.held[Address("10.0.0.1:1")][0]
	for i, want := range []bool{true, true, false} { // 3, 3, 3 more of the second
		if got := dial(2); got != want {
			t.Errorf("connection %d of the second address is taken: %t", i+2, got)
		}
	}
	if _, err := first.Write([]byte("x")); err == nil {
		t.Error("the oldest of the first address is open")
	}
	if !dial(3) || len(l.held[Address("10.0.0.3:1")]) != 1 || l.total != 6 {
		t.Errorf("the third address has no place; %d in all", l.total)
	}
}

// A flood of addresses gives nobody a new bucket.
// Holds spec H-11.
func TestRatesOfManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates(1, 1)
		at := func(i int) string { return fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255) }
		for i := range addresses {
			r.Take(at(i), 1)
		}
		if r.Take(at(0), 1) == 0 {
			t.Error("the first address has a new bucket")
		}
		if r.Take(at(addresses), 1) != 0 || r.Take(at(addresses+1), 1) == 0 {
			t.Error("two new addresses do not share a bucket")
		}
		time.Sleep(2 * time.Second) // of the bubble: all are full again
		if r.Take(at(addresses+2), 1) != 0 || len(r.by) != 1 {
			t.Errorf("%d buckets are kept for addresses that did nothing", len(r.by))
		}
	})
}

// source gives n bytes, and then waits until it is aborted, or ends.
type source struct {
	n     int
	end   bool
	reach chan struct{} // closed when the n bytes are read
	abort chan struct{}
}

var errAborted = errors.New("aborted")

func (s *source) Read(b []byte) (int, error) {
	if s.n > 0 {
		n := min(s.n, len(b))
		s.n -= n
		return n, nil
	}
	if s.end {
		return 0, io.EOF
	}
	close(s.reach)
	<-s.abort
	return 0, errAborted
}

func waiting(n int) *source { return &source{n, false, make(chan struct{}), make(chan struct{})} }

// Holds spec H-11.
func TestTheSlowestIsCutWhereRoomRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := NewRoom(1 << 20)
		choose := func() *Room { return room }
		read := func(s *source) ([]byte, func(), error) {
			return Read(s, choose, func() { close(s.abort) })
		}

		body, free, err := Read(strings.NewReader("small"),
			func() *Room { t.Error("a small message asks for room"); return room }, func() {})
		if err != nil || string(body) != "small" {
			t.Fatalf("%q, %v", body, err)
		}
		free()

		// Two that hold room: when a third comes the elder is cut.
		errs := make(chan error, 2)
		elder, younger := waiting(300<<10), waiting(200<<10)
		go func() { _, _, err := read(elder); errs <- err }()
		<-elder.reach
		time.Sleep(time.Second) // of the bubble
		go func() { _, _, err := read(younger); errs <- err }()
		<-younger.reach
		whole := bytes.Repeat([]byte{7}, 250<<10)
		body, free, err = Read(bytes.NewReader(whole), choose,
			func() { t.Error("the third is cut") })
		if err != nil || !bytes.Equal(body, whole) {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
		if err := <-errs; !errors.Is(err, ErrSlow) {
			t.Errorf("the elder: %v", err)
		}
		select {
		case <-younger.abort:
			t.Error("the younger was cut too")
		default:
		}
		// It stalls, and is cut.
		if err := <-errs; !errors.Is(err, ErrSlow) {
			t.Errorf("a message that stalled: %v", err)
		}
		// What is being answered cannot be cut: another that is too large is refused.
		if _, _, err := read(&source{n: 900 << 10, end: true,
			abort: make(chan struct{})}); !errors.Is(err, ErrFull) {
			t.Errorf("no room: %v", err)
		}
		free()
		free() // once more frees nothing more
		if room.left != 1<<20 || len(room.arriving) != 0 {
			t.Errorf("at the end %d bytes are left and %d are arriving", room.left,
				len(room.arriving))
		}
	})
}
