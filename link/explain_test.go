// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// What a person reads names the host and no function of Go.
func TestExplain(t *testing.T) {
	const at = "pool.example:4711"
	dialed := func(err error) error {
		return fmt.Errorf("link: dial: failed to WebSocket dial: %w",
			&net.OpError{Op: "dial", Net: "tcp", Err: err})
	}
	for _, c := range []struct {
		err          error
		reason, next string
	}{
		{dialed(&net.DNSError{Err: "no such host", Name: "pool.example", IsNotFound: true}),
			"no machine is known by the name pool.example", "spelling"},
		{dialed(&net.DNSError{Err: "server misbehaving", Name: "pool.example", IsTemporary: true}),
			"the name pool.example cannot be looked up now", "DNS"},
		{dialed(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "nothing listens at " +
			"pool.example:4711", "assay host status"},
		{dialed(os.NewSyscallError("connect", syscall.ENETUNREACH)), "there is no way to " +
			"pool.example:4711 from here", "network"},
		{dialed(os.ErrDeadlineExceeded), "pool.example:4711 does not answer", "firewall"},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), "pool.example:4711 does not answer",
			"4711 closed"},
		{dialed(errors.New("the moon is in the way")), "pool.example:4711 cannot be reached: the " +
			"moon is in the way", "assay host url"},
		{fmt.Errorf("%w: found 00", ErrFingerprint), "does not hold the key that the URL names",
			"somebody else answers"},
		{fmt.Errorf("%w: the host is stopping", ErrClosed), "the connection ended: the host is " +
			"stopping", "assay host status"},
		{fmt.Errorf("%w: failed to read frame header: %w", ErrClosed, io.EOF),
			"the connection broke off", "assay host status"},
		{errors.New("mpoc: no_work: closed today"), "mpoc: no_work: closed today",
			"assay host status"},
	} {
		reason, next := Explain(c.err, at)
		if !strings.Contains(reason, c.reason) || !strings.Contains(next, c.next) {
			t.Errorf("%v:\n  %s\n  %s", c.err, reason, next)
		}
		for _, inner := range []string{"dial tcp", "WebSocket", "lookup"} {
			if strings.Contains(reason, inner) {
				t.Errorf("%v: %s", c.err, reason)
			}
		}
	}
}

// The errors of real sockets are among those that are known.
func TestExplainReal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	go func() { // two callers are answered in other languages, then nobody is there
		for _, text := range []string{"220 mail ready\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"} {
			if c, err := l.Accept(); err == nil {
				c.Write([]byte(text))
				c.Close()
			}
		}
		l.Close()
	}()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	to := Address{HostPort: at}
	for _, want := range []string{at + " is no Assay host", at + " is no Assay host",
		"nothing listens at " + at} {
		_, err := Dial(t.Context(), to, "/", key, Limits{})
		if err == nil {
			t.Fatal("connected")
		}
		if reason, next := Explain(err, at); reason != want {
			t.Errorf("%v: %s, want %s", err, reason, want)
		} else if e := Explained(err, at); e.Error() != reason+"; "+next || !errors.Is(e, err) {
			t.Errorf("%v", e)
		}
	}
}
