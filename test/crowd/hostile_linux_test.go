// SPDX-License-Identifier: Apache-2.0

package crowd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/signed"
)

func jitter(about time.Duration) time.Duration {
	return time.Duration(mathrand.Int64N(int64(about)))
}

// attack is a way to be a bad neighbour. It runs once, until it is thrown out or
// has had its way; then the machine pauses and does it again.
type attack struct {
	name  string
	share int // of 20
	run   func(ctx context.Context, m machine, plan crowdPlan) error
}

var attacks = []attack{
	{"silent", 2, silent},
	{"slow request", 2, slowRequest},
	{"slow body", 1, slowBody},
	{"slow message", 1, slowMessage},
	{"deaf member", 2, deaf},
	{"lying member", 2, lying},
	{"flapping member", 2, flapping},
	{"stranger", 1, stranger},
	{"bad signature", 2, badSignature},
	{"oversized body", 1, oversized},
	{"ever new keys", 2, newKeys},
	{"forger", 1, forger},
	{"mute miner", 1, mute},
}

// attackOf deals the attacks out.
func attackOf(i int) attack {
	i %= 20
	for _, a := range attacks {
		if i -= a.share; i < 0 {
			return a
		}
	}
	panic("the shares of the attacks are less than 20")
}

// harass plays hostile machines.
func harass(ctx context.Context, to port) error {
	var plan crowdPlan
	if err := to.in.Decode(&plan); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var d diary
	var running sync.WaitGroup
	for i := range plan.N {
		m, a := machineOf(plan.Kind, plan.From+i), attackOf(plan.From+i)
		running.Go(func() {
			for pause(ctx, plan.Every) {
				held, end := context.WithTimeout(ctx, patience)
				_ = a.run(held, m, plan) // whatever the host does about it
				end()
				d.note(func(w *window) { w.Acts[a.name]++ })
			}
		})
	}
	err := d.answer(to)
	cancel()
	running.Wait()
	return err
}

// patience is how long an attack holds on.
const patience = 30 * time.Second

// dialled opens a TLS connection that the context closes.
func (m machine) dialled(ctx context.Context, to string, run func(net.Conn) error) error {
	c, err := m.connect(ctx, to)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	return run(c)
}

// silent connects, with or without TLS, and says nothing.
func silent(ctx context.Context, m machine, plan crowdPlan) error {
	wait := func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err }
	if m.from[15]&1 != 0 {
		return m.dialled(ctx, plan.Host.Pool, wait)
	}
	c, err := m.dialer().DialContext(ctx, "tcp", plan.Host.Fleet)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	return wait(c)
}

// slowRequest sends a request a byte at a time.
func slowRequest(ctx context.Context, m machine, plan crowdPlan) error {
	return m.dialled(ctx, plan.Host.Fleet, func(c net.Conn) error { return drip(ctx, c) })
}

// drip writes a byte now and then until it cannot.
func drip(ctx context.Context, c net.Conn) error {
	for pause(ctx, time.Second) {
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
	}
	return nil
}

// slowBody begins the largest body there is, and does not end it.
func slowBody(ctx context.Context, m machine, plan crowdPlan) error {
	return m.dialled(ctx, plan.Host.Pool, func(c net.Conn) error {
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: host\r\nContent-Length: %d\r\n\r\n",
			mpocv1.PathProofs, 4<<20); err != nil {
			return err
		}
		if _, err := c.Write(make([]byte, 2<<20)); err != nil {
			return err
		}
		return drip(ctx, c)
	})
}

// slowMessage is slowBody on the socket.
func slowMessage(ctx context.Context, m machine, plan crowdPlan) error {
	return m.dialled(ctx, plan.Host.Pool, func(c net.Conn) error {
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: host\r\nConnection: "+
			"Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+
			"AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", mpocv1.PathSocket); err != nil {
			return err
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		response.Body.Close()
		head := []byte{0x82, 0xff} // one binary frame, masked, with a long length
		head = binary.BigEndian.AppendUint64(head, 4<<20)
		head = append(head, 0, 0, 0, 0) // the mask
		if _, err := c.Write(append(head, make([]byte, 2<<20)...)); err != nil {
			return err
		}
		return drip(ctx, c)
	})
}

// leaf is one record.
func leaf(i uint64) []byte { return record.Record{Norm: i, Digest: [32]byte{1}}.Append(nil) }

// deaf is a member, admitted by mistake, that sends small batches and reads nothing.
func deaf(ctx context.Context, m machine, plan crowdPlan) error {
	return m.hired(ctx, plan, func(w *member, order *workerv1.Compute) error {
		for first := order.First; pause(ctx, plan.Every/4); first++ {
			if err := w.hand(ctx, order, first, leaf(first)); err != nil {
				return err
			}
		}
		return nil
	})
}

// lying sends leaves of a segment that nobody asked for.
func lying(ctx context.Context, m machine, plan crowdPlan) error {
	return m.hired(ctx, plan, func(w *member, order *workerv1.Compute) error {
		order.Epoch++
		if err := w.hand(ctx, order, order.First, leaf(order.First)); err != nil {
			return err
		}
		_, err := w.until(ctx, never)
		return err
	})
}

// flapping comes and goes.
func flapping(ctx context.Context, m machine, plan crowdPlan) error {
	w, err := m.join(ctx, plan.Host.Fleet)
	if err == nil {
		w.conn.CloseNow()
	}
	return err
}

// stranger comes with another key each time.
func stranger(ctx context.Context, m machine, plan crowdPlan) error {
	return fresh(m).hired(ctx, plan, func(*member, *workerv1.Compute) error { return nil })
}

func fresh(m machine) machine {
	_, m.key, _ = ed25519.GenerateKey(rand.Reader) // rand.Reader does not fail
	return m
}

// post sends one body as a request of its own connection.
func post(ctx context.Context, m machine, plan crowdPlan, path string, body io.Reader) error {
	client := m.client()
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+plan.Host.Pool+path, body)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// badSignature asks in somebody else's name.
func badSignature(ctx context.Context, m machine, plan crowdPlan) error {
	a := mpoc.Asking{HostKey: signed.KeyOf(hostKey), DeviceKey: signed.KeyOf(keyOf("miners", 0)),
		What: mpoc.AskChallenge, Time: uint64(time.Now().UnixMilli()) + 1000}
	body, err := json.Marshal(mpocv1.ChallengeRequest{Asking: a, Signature: a.Sign(m.key)})
	if err != nil {
		return err
	}
	return post(ctx, m, plan, mpocv1.PathChallenge, bytes.NewReader(body))
}

// oversized sends more than any body may have.
func oversized(ctx context.Context, m machine, plan crowdPlan) error {
	return post(ctx, m, plan, mpocv1.PathNonce, bytes.NewReader(make([]byte, 5<<20)))
}

// registered connects to the pool and registers a key that was never seen.
func registered(ctx context.Context, m machine, plan crowdPlan, run func(*miner) error) error {
	x, err := fresh(m).miner(ctx, plan.Host.Pool)
	if err != nil {
		return err
	}
	defer x.conn.CloseNow()
	if err := x.register(ctx); err != nil {
		return err
	}
	return run(x)
}

// newKeys does no more than that.
func newKeys(ctx context.Context, m machine, plan crowdPlan) error {
	return registered(ctx, m, plan, func(*miner) error { return nil })
}

// forger commits to a log that it made up, and opens what it is asked.
func forger(ctx context.Context, m machine, plan crowdPlan) error {
	return registered(ctx, m, plan, func(x *miner) error {
		_, err := x.submit(ctx, nil, 1000, 0, new(diary))
		return err
	})
}

// mute commits and does not answer what is drawn.
func mute(ctx context.Context, m machine, plan crowdPlan) error {
	return registered(ctx, m, plan, func(x *miner) error {
		terms, err := x.challenge(ctx)
		if err != nil {
			return err
		}
		c, err := compute(ctx, nil, terms.Terms, 100)
		if err != nil {
			return err
		}
		_, err = x.commit(ctx, terms, c)
		return err
	})
}
