// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// Limits bound what a peer may cost.
type Limits struct {
	Message int64         // bytes of one received message
	Write   time.Duration // for one message to leave
	Ping    time.Duration // between pings; a pong may take as long
}

// ErrClosed is wrapped by errors of a connection that the peer closed or that
// broke; the text holds the peer's reason where it gave one.
var ErrClosed = errors.New("link: connection closed")

// Socket carries messages. One goroutine may receive while others send.
type Socket struct {
	conn   *websocket.Conn
	limits Limits
}

// Dial connects to a host as the holder of key.
func Dial(ctx context.Context, to Address, path string, key ed25519.PrivateKey, limits Limits) (*Socket, error) {
	config, err := ClientTLS(key, to.Fingerprint)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, TLSHandshakeTimeout: 20 * time.Second}
	conn, _, err := websocket.Dial(ctx, "wss://"+to.HostPort+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	})
	if err != nil {
		return nil, fmt.Errorf("link: dial %s: %w", to.HostPort, err)
	}
	return newSocket(conn, limits), nil
}

// Accept turns a request into a socket. After an error the response is written.
func Accept(w http.ResponseWriter, r *http.Request, limits Limits) (*Socket, error) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return nil, fmt.Errorf("link: accept: %w", err)
	}
	return newSocket(conn, limits), nil
}

func newSocket(conn *websocket.Conn, limits Limits) *Socket {
	conn.SetReadLimit(limits.Message)
	return &Socket{conn, limits}
}

// Send writes one message, or fails after Limits.Write and breaks the
// connection: a peer that does not read is gone.
func (s *Socket) Send(ctx context.Context, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Write)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageBinary, message); err != nil {
		return fmt.Errorf("%w: send: %w", ErrClosed, err)
	}
	return nil
}

// Receive waits for one message.
func (s *Socket) Receive(ctx context.Context) ([]byte, error) {
	kind, message, err := s.conn.Read(ctx)
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

// KeepAlive pings until ctx ends or a pong fails to come, which it returns as
// an error. Somebody must be in [Socket.Receive] meanwhile.
func (s *Socket) KeepAlive(ctx context.Context) error {
	tick := time.NewTicker(s.limits.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		pong, cancel := context.WithTimeout(ctx, s.limits.Ping)
		err := s.conn.Ping(pong)
		cancel()
		if err != nil {
			return fmt.Errorf("%w: no answer to a ping within %s", ErrClosed, s.limits.Ping)
		}
	}
}

// Close tells the peer why, in at most 120 bytes, and waits a few seconds at
// most for it to agree.
func (s *Socket) Close(reason string) {
	if len(reason) > 120 {
		reason = reason[:120]
	}
	// The status says "policy violation" in every case: the reason is for people,
	// and no program decides on the number.
	_ = s.conn.Close(websocket.StatusPolicyViolation, reason)
}

// Abort drops the connection without a word.
func (s *Socket) Abort() { _ = s.conn.CloseNow() }
