// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"net/http"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/commit"
)

// serve answers a request for a connection, whose life is attend's, and calls
// done when that is over. It does not wait: the server's goroutine, its stack as
// large as a handshake made it, and the request are given back.
func (f *Fleet) serve(ctx context.Context, w http.ResponseWriter, r *http.Request, done func()) {
	key, err := link.PeerKey(*r.TLS)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		done()
		return
	}
	node, known := f.config.Allow(key)
	if !known || commit.ValidNode(node) != nil {
		node = ""
		select {
		case f.lobby <- struct{}{}:
			answered := done
			done = func() { <-f.lobby; answered() }
		default:
			http.Error(w, "too many unknown workers at once", http.StatusServiceUnavailable)
			done()
			return
		}
	}
	socket, err := link.Accept(w, r, limits)
	if err != nil { // the request was answered
		done()
		return
	}
	from := r.RemoteAddr
	go func() {
		defer done()
		f.attend(ctx, socket, key, node, from)
	}()
}

// attend is the life of one connection. node is empty for a stranger's.
func (f *Fleet) attend(ctx context.Context, socket *link.Socket, key ed25519.PublicKey,
	node, from string) {
	defer socket.Abort()
	known := node != ""
	log := f.log.With("key", hex.EncodeToString(key), "addr", from)
	hello, refusal := f.hear(ctx, socket, key)
	if hello != nil && !known {
		next := "ask the host's owner to run: assay host allow " + hex.EncodeToString(key)
		refusal = &workerv1.Refuse{Reason: "this host does not know key " + hex.EncodeToString(key),
			NextStep: next}
		f.noteUnknown(key, next)
	}
	if refusal != nil {
		log.Debug("worker refused", "reason", refusal.Reason)
		_ = f.send(ctx, socket,
			&workerv1.Envelope{Message: &workerv1.Envelope_Refuse{Refuse: refusal}})
		socket.Close(refusal.Reason)
		return
	}
	if hello == nil {
		return // it broke
	}
	c := newConn(f, node, key, socket, hello)
	welcome := &workerv1.Welcome{Chain: f.config.Chain, Participant: f.config.Participant,
		Node: node}
	if f.send(ctx, socket,
		&workerv1.Envelope{Message: &workerv1.Envelope_Welcome{Welcome: welcome}}) != nil {
		return
	}
	f.join(c)
	log = log.With("node", c.node)
	log.Info("worker connected", "engine", c.hello.Engine, "agent", c.hello.Agent)
	err := c.run(ctx)
	f.leave(c, err)
	log.Info("worker gone", "reason", err)
}

// hear waits for the Hello and returns it, or why it is refused, or neither when
// the connection broke.
func (f *Fleet) hear(ctx context.Context, socket *link.Socket,
	key ed25519.PublicKey) (*workerv1.Hello, *workerv1.Refuse) {
	first, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	message, err := socket.Receive(first)
	if err != nil {
		return nil, nil
	}
	e, err := workerv1.FromWorker(message)
	if err != nil {
		return nil, &workerv1.Refuse{Reason: workerv1.Clip(err.Error(), workerv1.MaxText)}
	}
	hello := e.GetHello()
	switch {
	case hello == nil:
		return nil, &workerv1.Refuse{Reason: "the first message must be Hello"}
	case hello.Protocol != workerv1.Protocol:
		return nil, &workerv1.Refuse{
			Reason: fmt.Sprintf("this host speaks worker protocol %d, the worker %d",
				workerv1.Protocol, hello.Protocol),
			NextStep: "run the same version of assay on both machines",
		}
	case !key.Equal(ed25519.PublicKey(hello.Key)):
		return nil, &workerv1.Refuse{Reason: "the key in Hello is not the connection's"}
	case !hello.SelfTestOk:
		return nil, &workerv1.Refuse{
			Reason:   "engine " + hello.Engine + " failed its self-test",
			NextStep: "run: assay-worker doctor",
		}
	}
	return hello, nil
}

// noteUnknown logs each unknown key once; a flood of them is not written down.
func (f *Fleet) noteUnknown(key ed25519.PublicKey, next string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := string(key); !f.unknown[k] && len(f.unknown) < 256 {
		f.unknown[k] = true
		warn := f.log.Warn
		if f.config.Pool != nil { // it may be registering
			warn = f.log.Debug
		}
		warn("a worker with an unknown key asks to join", "key", hex.EncodeToString(key),
			"next", next)
	}
}

func (f *Fleet) send(ctx context.Context, socket *link.Socket, e *workerv1.Envelope) error {
	message, err := workerv1.Encode(e)
	if err != nil {
		return err
	}
	return socket.Send(ctx, message)
}

// join makes c the node's connection and puts it on the goal. The one before,
// if any, takes nothing more from here on.
func (f *Fleet) join(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodes[c.node]
	if n == nil {
		f.forget()
		n = &node{}
		f.nodes[c.node] = n
	}
	if n.conn != nil {
		c.before = n.conn.end(errReplaced)
	}
	n.conn = c
	c.aim(f.goalOf(c.node))
	c.tell(n.leftOut)
	f.recheck(c) // the list may have changed since the handshake
}

func (f *Fleet) leave(c *conn, why error) {
	c.end(why)
	f.desk.leave(c)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.nodes[c.node]; n.conn == c {
		n.conn = nil
		if c.quit() {
			f.refill()
		}
		n.last = c.status()
		n.last.Connected, n.last.Granted = false, n.last.Size
		n.last.State, n.last.Reason, n.last.Until = "away",
			workerv1.Clip("not connected: "+why.Error(), workerv1.MaxText), ""
	}
}
