// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Limits bound what a peer may cost.
type Limits struct {
	Message int64         // bytes of one received message
	Write   time.Duration // for one message to leave, or to arrive once it has begun
	Ping    time.Duration // between pings; a pong may take as long
	// Read reads one message that has begun, and abort ends the reading; nil is
	// io.ReadAll. What it returns is handled before it is called again.
	Read func(from io.Reader, abort func()) ([]byte, error)
}

// closeTime is how long a connection that is being closed may linger.
const closeTime = time.Second

// ErrClosed is wrapped by errors of a connection that the peer closed or that
// broke; the text holds the peer's reason where it gave one.
var ErrClosed = errors.New("link: connection closed")

// Socket carries messages. After the opening words, sent and received one by
// one, [Socket.Run] takes over.
type Socket struct {
	conn   *websocket.Conn
	raw    net.Conn // below conn
	limits Limits
	host   ed25519.PublicKey
}

// Host returns the key of the host that was dialled: of all keys with the
// address's fingerprint the one it proved to hold.
func (s *Socket) Host() ed25519.PublicKey { return s.host }

// Dial connects to a host as the holder of key.
func Dial(ctx context.Context, to Address, path string, key ed25519.PrivateKey,
	limits Limits) (*Socket, error) {
	config, err := ClientTLS(key, to.Fingerprint)
	if err != nil {
		return nil, err
	}
	var raw net.Conn
	transport := Transport(config)
	ctx = httptrace.WithClientTrace(ctx,
		&httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { raw = got.Conn }})
	client := &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	conn, _, err := websocket.Dial(ctx, "wss://"+to.HostPort+path,
		&websocket.DialOptions{HTTPClient: client})
	if err != nil {
		transport.CloseIdleConnections()
		return nil, fmt.Errorf("link: dial %s: %w", to.HostPort, err)
	}
	s := newSocket(conn, raw, limits)
	secure, ok := raw.(*tls.Conn)
	if !ok {
		s.Abort()
		return nil, fmt.Errorf("link: dial %s: not TLS", to.HostPort)
	}
	if s.host, err = PeerKey(secure.ConnectionState()); err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

type rawKey struct{}

// ConnContext is the http.Server hook that [Accept] needs.
func ConnContext(ctx context.Context, raw net.Conn) context.Context {
	return context.WithValue(ctx, rawKey{}, raw)
}

// Accept turns a request into a socket. The server has [ConnContext] as its
// hook. After an error the response is written.
func Accept(w http.ResponseWriter, r *http.Request, limits Limits) (*Socket, error) {
	raw, ok := r.Context().Value(rawKey{}).(net.Conn)
	if !ok {
		panic("link: the server lacks ConnContext")
	}
	conn, err := websocket.Accept(slim{w}, r, nil)
	if err != nil {
		return nil, fmt.Errorf("link: accept: %w", err)
	}
	return newSocket(conn, raw, limits), nil
}

// slim gives a socket small buffers in place of the server's, which are 4 KiB
// each way: large frames pass by a buffer, and an idle socket needs none.
type slim struct{ http.ResponseWriter }

const buffer = 256

// Hijack is called by the WebSocket.
func (w slim) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, server, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// the peer's first frames, if it did not wait
	early, _ := server.Reader.Peek(server.Reader.Buffered())
	reader := bufio.NewReaderSize(bytes.NewReader(early), max(buffer, len(early)))
	_, _ = reader.Peek(len(early)) // what is buffered is not lost when the reader is set on conn
	return conn, bufio.NewReadWriter(reader, bufio.NewWriterSize(conn, buffer)), nil
}

func newSocket(conn *websocket.Conn, raw net.Conn, limits Limits) *Socket {
	conn.SetReadLimit(limits.Message)
	return &Socket{conn: conn, raw: raw, limits: limits}
}

// Send writes one message, or fails after Limits.Write and breaks the
// connection: a peer that does not read is gone. Cancelling ctx does not stop a
// message halfway, which would cut off the reason for closing too.
func (s *Socket) Send(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Write)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageBinary, message); err != nil {
		return fmt.Errorf("%w: send: %w", ErrClosed, err)
	}
	return nil
}

// Receive waits for one message. Once it has begun, the rest must come within
// Limits.Write: a peer that sends a byte now and then would have all of it held.
func (s *Socket) Receive(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kind, reader, err := s.conn.Reader(ctx)
	var message []byte
	if err == nil {
		slow := time.AfterFunc(s.limits.Write, cancel)
		if s.limits.Read != nil {
			message, err = s.limits.Read(reader, cancel)
		} else {
			message, err = io.ReadAll(reader)
		}
		slow.Stop()
	}
	if err != nil {
		if reason, ok := closeReason(err); ok {
			return nil, fmt.Errorf("%w: %s", ErrClosed, reason)
		}
		return nil, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	if kind != websocket.MessageBinary {
		return nil, fmt.Errorf("%w: a text message", ErrClosed)
	}
	return message, nil
}

// closeReason is what the peer said on closing, if it said something.
func closeReason(err error) (string, bool) {
	var c websocket.CloseError
	if !errors.As(err, &c) || c.Reason == "" {
		return "", false
	}
	return c.Reason, true
}

// Run drives the socket until something ends it, and closes it with that as the
// reason: ctx (its cause is the reason), an error of handle, which is called
// with every received message in turn, an error of write, which sends what there
// is to send until its context ends, or a peer that is gone or silent. It
// returns the reason, never nil, after everything it started has ended.
//
// A host has thousands of sockets on which nothing happens. One that waits costs
// the caller's goroutine, which reads, and write's.
func (s *Socket) Run(ctx context.Context, handle func(message []byte) error,
	write func(ctx context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	running.Add(1)
	context.AfterFunc(ctx, func() {
		defer running.Done()
		if reason := context.Cause(ctx); errors.Is(reason, ErrClosed) {
			s.Abort()
		} else {
			s.Close(reason.Error())
		}
	})
	running.Go(func() { stop(write(ctx)) })
	s.keepAlive(ctx, &running, stop)
	for {
		// Closing ends the wait, not ctx: a cancelled read would cut the
		// connection before the peer hears why.
		message, err := s.Receive(context.Background())
		if err == nil {
			err = handle(message)
		}
		if err != nil {
			stop(err)
			break
		}
	}
	running.Wait()
	return context.Cause(ctx)
}

// keepAlive pings until ctx ends or a pong fails to come, which it tells stop.
// It is a timer between pings and a goroutine, counted in running, during one.
func (s *Socket) keepAlive(ctx context.Context, running *sync.WaitGroup, stop func(error)) {
	var (
		mu    sync.Mutex
		timer *time.Timer // armed while ctx stands and no ping is under way
		arm   func()
	)
	ping := func() {
		pong, cancel := context.WithTimeout(ctx, s.limits.Ping)
		defer cancel()
		if err := s.conn.Ping(pong); err != nil {
			stop(fmt.Errorf("%w: no answer to a ping within %s", ErrClosed, s.limits.Ping))
		}
		arm()
	}
	arm = func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			running.Done()
			return
		}
		timer = time.AfterFunc(s.limits.Ping, ping)
	}
	running.Add(1)
	arm()
	context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if timer != nil && timer.Stop() {
			running.Done()
		}
	})
}

// Close tells the peer why, in the first 120 bytes of reason, and waits at most
// a second for it to agree, whatever it sends instead. The status code is the same for every
// reason: reasons are for people, and no program decides on them.
func (s *Socket) Close(reason string) {
	reason = strings.ToValidUTF8(reason[:min(len(reason), 120)], "")
	_ = s.raw.SetDeadline(time.Now().Add(closeTime))
	_ = s.conn.Close(websocket.StatusPolicyViolation, reason)
}

// Abort drops the connection without a word.
func (s *Socket) Abort() { _ = s.conn.CloseNow() }
