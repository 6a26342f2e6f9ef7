// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func keyOf(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func TestParseAddress(t *testing.T) {
	const fp = "00112233445566778899aabbccddeeff"
	for _, good := range []string{"assay://host.example:7400#" + fp, "assay://127.0.0.1:1#" + fp,
		"assay://[::1]:65535#" + fp} {
		a, err := ParseAddress(good)
		if err != nil || a.String() != good {
			t.Errorf("%s: %v, %v", good, a, err)
		}
	}
	for _, bad := range []string{
		"", "host:7400", "https://host:7400#" + fp, "assay://host#" + fp, "assay://:7400#" + fp,
		"assay://host:0#" + fp,
		"assay://host:70000#" + fp, "assay://host:http#" + fp, "assay://host:7400",
		"assay://host:7400#" + fp[2:], "assay://host:7400#" + fp + "00",
		"assay://host:7400#zz" + fp[2:], "assay://host:7400/path#" + fp,
		"assay://host:7400?q#" + fp, "assay://me@host:7400#" + fp, "assay://ho st:1#" + fp,
	} {
		if a, err := ParseAddress(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("%q was accepted as %v, %v", bad, a, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("assay://host.example:7400#00112233445566778899aabbccddeeff")
	f.Add("assay://[::1]:1#00112233445566778899AABBCCDDEEFF")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if b, err := ParseAddress(a.String()); err != nil || a != b {
			t.Fatalf("%q gives %v, which gives %v, %v", s, a, b, err)
		}
	})
}

func TestLoadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home", "device.key")
	keys := make([]ed25519.PrivateKey, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = LoadKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if !k.Equal(keys[0]) {
			t.Fatal("processes that start together have different keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Fatalf("left behind: %v, %v", left, err)
	}

	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); !errors.Is(err, ErrKeyFile) ||
		!strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
	for _, text := range []string{"", "abc", strings.Repeat("0", 62), strings.Repeat("x", 64)} {
		bad := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(bad); !errors.Is(err, ErrKeyFile) {
			t.Errorf("key file %q: %v", text, err)
		}
	}
}

// server runs serve for every socket; a test gets what it returns.
func server(t *testing.T, limits Limits, serve func(*Socket) error) (Address, <-chan error) {
	t.Helper()
	config, err := ServerTLS(keyOf(1))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 16)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := Accept(w, r, limits)
		if err != nil {
			ended <- err
			return
		}
		defer socket.Abort()
		ended <- serve(socket)
	}))
	s.TLS = config
	s.Config.ConnContext = ConnContext
	s.StartTLS()
	t.Cleanup(s.Close)
	return Address{s.Listener.Addr().String(),
		FingerprintOf(keyOf(1).Public().(ed25519.PublicKey))}, ended
}

var testLimits = Limits{Message: 1000, Write: 5 * time.Second, Ping: time.Minute}

// echo answers every message until the peer closes.
func echo(s *Socket) error {
	out := make(chan []byte, 1)
	return s.Run(context.Background(), func(m []byte) error {
		if string(m) == "bad" {
			return errors.New("do not say that")
		}
		out <- m
		return nil
	}, func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case m := <-out:
				if err := s.Send(ctx, m); err != nil {
					return err
				}
			}
		}
	})
}

func TestSocket(t *testing.T) {
	to, ended := server(t, testLimits, echo)
	s, err := Dial(t.Context(), to, "/", keyOf(2), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort()
	for _, m := range []string{"one", strings.Repeat("x", 1000)} {
		if err := s.Send(t.Context(), []byte(m)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Receive(t.Context()); err != nil || string(got) != m {
			t.Fatalf("%q came back as %q, %v", m, got, err)
		}
	}
	// The reason for closing reaches the other side, cut to what fits.
	if err := s.Send(t.Context(), []byte("bad")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Receive(t.Context()); !errors.Is(err, ErrClosed) ||
		!strings.Contains(err.Error(), "do not say that") {
		t.Fatalf("closed with %v", err)
	}
	if err := <-ended; err == nil || err.Error() != "do not say that" {
		t.Fatalf("served until %v", err)
	}
}

func TestSocketRefusesLargeMessages(t *testing.T) {
	to, ended := server(t, testLimits, echo)
	s, err := Dial(t.Context(), to, "/", keyOf(2), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort()
	if err := s.Send(t.Context(), make([]byte, 1001)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Fatalf("served until %v", err)
	}
}

// A peer that neither reads nor answers is dropped: by the write deadline while
// there is something to say, by pings otherwise, and closing does not wait for it.
func TestSilentPeer(t *testing.T) {
	for name, c := range map[string]struct {
		limits Limits
		write  func(s *Socket) func(context.Context) error
	}{
		"writes": {Limits{Message: 10, Write: 50 * time.Millisecond, Ping: time.Minute},
			func(s *Socket) func(context.Context) error {
				return func(ctx context.Context) error {
					for {
						if err := s.Send(ctx, make([]byte, 1<<20)); err != nil {
							return err
						}
					}
				}
			}},
		"pings": {Limits{Message: 10, Write: time.Minute, Ping: 50 * time.Millisecond},
			func(*Socket) func(context.Context) error {
				return func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			}},
		"closing": {Limits{Message: 10, Write: 50 * time.Millisecond, Ping: time.Minute},
			func(*Socket) func(context.Context) error {
				return func(context.Context) error { return errors.New("done") }
			}},
	} {
		t.Run(name, func(t *testing.T) {
			to, ended := server(t, c.limits, func(s *Socket) error {
				return s.Run(context.Background(), func([]byte) error { return nil }, c.write(s))
			})
			s, err := Dial(t.Context(), to, "/", keyOf(2), testLimits)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Abort()
			select {
			case <-ended:
			case <-time.After(4 * time.Second):
				t.Fatal("the silent peer is still served")
			}
		})
	}
}

// A message that is begun and not ended does not hold the connection, whether or
// not the peer answers pings in between.
func TestSlowMessage(t *testing.T) {
	limits := testLimits
	limits.Message, limits.Write = 1<<20, 50*time.Millisecond
	to, ended := server(t, limits, echo)
	s, err := Dial(t.Context(), to, "/", keyOf(2), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort()
	w, err := s.conn.Writer(t.Context(), websocket.MessageBinary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<16)); err != nil { // more than is buffered
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, ErrClosed) {
			t.Errorf("served until %v", err)
		}
	case <-time.After(4 * time.Second):
		t.Fatal("half a message is still waited for")
	}
}

// A digit of a key's file that is another makes no other key of it: the public key stands beside.
// Files of earlier programs hold the seed alone.
func TestADamagedKeyIsNoOtherKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	key, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at := range text {
		bad := bytes.Clone(text)
		bad[at] ^= 1
		write(bad)
		if got, err := LoadKey(path); err == nil && !got.Equal(key) || err != nil &&
			(!errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), path)) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	write(text[:2*ed25519.SeedSize+1])
	if got, err := LoadKey(path); err != nil || !got.Equal(key) {
		t.Errorf("the seed alone: %v", err)
	}
}

func TestOnlyTheRightKeys(t *testing.T) {
	to, _ := server(t, testLimits, echo)
	wrong := to
	wrong.Fingerprint[15] ^= 1
	if _, err := Dial(t.Context(), wrong, "/", keyOf(2), testLimits); !errors.Is(err,
		ErrFingerprint) {
		t.Errorf("wrong fingerprint: %v", err)
	}

	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	ec, err := x509.CreateCertificate(rand.Reader, template, template, ecKey.Public(), ecKey)
	if err != nil {
		t.Fatal(err)
	}
	good, err := ClientTLS(keyOf(2), to.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	get := func(change func(*tls.Config)) error {
		config := good.Clone()
		change(config)
		conn, err := tls.Dial("tcp", to.HostPort, config)
		if err != nil {
			return err
		}
		defer conn.Close()
		// A TLS 1.3 client learns with its first read whether it was accepted.
		fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n")
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	if err := get(func(*tls.Config) {}); err != nil {
		t.Errorf("an Ed25519 key: %v", err)
	}
	for name, change := range map[string]func(*tls.Config){
		"no key": func(c *tls.Config) { c.Certificates = nil },
		"an ECDSA key": func(c *tls.Config) {
			c.Certificates = []tls.Certificate{{Certificate: [][]byte{ec}, PrivateKey: ecKey}}
		},
		"TLS 1.2": func(c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		},
	} {
		if get(change) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
