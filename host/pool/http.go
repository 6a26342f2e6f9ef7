// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/gate"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/signed"
)

// longestMessage is of a socket's: any request in its frame.
const longestMessage = 4 << 20

const (
	// requestTime is how long one request may take, the wait for a core included.
	requestTime = 60 * time.Second
	// bodyTime is how long its body may take to arrive.
	bodyTime = 60 * time.Second
	// An address may send perAddress requests a second in the long run, and burst
	// at once: a house of machines behind one router is fine, a flood is not. A
	// large one counts as several.
	perAddress = 50
	burst      = 400
	// Registrations are kept, for a while: fewer of them.
	registers     = 1
	registerBurst = 256
	// What large messages may hold at a time, in bytes: those of machines that have
	// worked recently, and everybody else's.
	provenRoom   = 256 << 20
	strangerRoom = 64 << 20
)

// sizeOf is what a message costs its address beside the request itself.
func sizeOf(bytes int) int { return bytes / (64 << 10) }

// room is the one that a connection's large messages take from. Those of machines
// that have worked recently have one to themselves.
func (p *Pool) room(r *http.Request) func() *gate.Room {
	return func() *gate.Room {
		if r.TLS != nil {
			if key, err := link.PeerKey(*r.TLS); err == nil {
				if d, known, err := p.state.device(signed.Key(key)); err == nil && known &&
					p.standing(&d) > 0 {
					return p.proven
				}
			}
		}
		return p.strangers
	}
}

// step runs one kind of request on its body.
type step struct {
	longest int64 // body
	run     func(ctx context.Context, body []byte, read func()) (any, error)
}

// on decodes a body for a method of Pool, calls read, and has it answered. So a
// body's room is free before the answer waits for something.
func on[Q, A any](f func(context.Context, Q) (A, error)) step {
	return step{mpocv1.Longest[Q](),
		func(ctx context.Context, body []byte, read func()) (any, error) {
			q, err := mpocv1.Decode[Q](body)
			read()
			if err != nil {
				return nil, err
			}
			return f(ctx, q)
		}}
}

func (p *Pool) steps() map[string]step {
	return map[string]step{
		mpocv1.TypeNonce:     on(p.Nonce),
		mpocv1.TypeRegister:  on(p.Register),
		mpocv1.TypeChallenge: on(p.Challenge),
		mpocv1.TypeCommit:    on(p.Commit),
		mpocv1.TypeProof:     on(p.Proof),
		mpocv1.TypeReceipt:   on(p.Countersign),
		mpocv1.TypeFind:      on(p.Find),
		mpocv1.TypeClaim:     on(p.Claim),
		mpocv1.TypeAccount:   on(p.Account),
		mpocv1.TypeStatus: on(func(context.Context, mpocv1.Empty) (mpocv1.Status, error) {
			return p.Status()
		}),
	}
}

// Handler serves the interface. Its server has link.ConnContext as its hook.
func (p *Pool) Handler() http.Handler {
	mux := http.NewServeMux()
	steps := p.steps()
	post := func(path, kind string) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter,
			r *http.Request) {
			p.post(w, r, kind, steps[kind])
		})
	}
	post(mpocv1.PathNonce, mpocv1.TypeNonce)
	post(mpocv1.PathDevices, mpocv1.TypeRegister)
	post(mpocv1.PathChallenge, mpocv1.TypeChallenge)
	post(mpocv1.PathCommits, mpocv1.TypeCommit)
	post(mpocv1.PathProofs, mpocv1.TypeProof)
	post(mpocv1.PathReceipts, mpocv1.TypeReceipt)
	post(mpocv1.PathFind, mpocv1.TypeFind)
	post(mpocv1.PathClaims, mpocv1.TypeClaim)
	post(mpocv1.PathAccount, mpocv1.TypeAccount)
	mux.HandleFunc("GET "+mpocv1.PathStatus, func(w http.ResponseWriter, _ *http.Request) {
		s, err := p.Status()
		p.reply(w, s, err)
	})
	mux.HandleFunc("GET "+mpocv1.PathOpenAPI, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(mpocv1.OpenAPI)
	})
	mux.HandleFunc("GET "+mpocv1.PathSocket, func(w http.ResponseWriter,
		r *http.Request) {
		p.socket(steps, w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.reply(w, nil, refuse(mpocv1.CodeNotFound, "the paths are in "+mpocv1.PathOpenAPI,
			"no %s %.80q here", r.Method, r.URL.Path))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait := p.gate.Take(r.RemoteAddr, 1); wait > 0 {
			p.reply(w, nil, limited(wait))
			return
		}
		w.Header().Set(mpocv1.HeaderRun, p.run)
		if p.c.Unpaid != "" {
			w.Header().Set(mpocv1.HeaderUnpaid, p.c.Unpaid)
		}
		if still := p.still.Load(); still != nil && *still != "" {
			w.Header().Set(mpocv1.HeaderStill, *still)
		}
		mux.ServeHTTP(w, r)
	})
}

// post answers one request of a kind by its step f.
func (p *Pool) post(w http.ResponseWriter, r *http.Request, kind string, f step) {
	// An error says that the connection is gone.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime))
	from, err := unpacked(r.Header, http.MaxBytesReader(w, r.Body, f.longest), f.longest)
	if err != nil {
		w.Header().Set("Accept-Encoding", "gzip") // RFC 7694
		p.reply(w, nil, err)
		return
	}
	body, free, err := gate.Read(from, p.room(r),
		func() { _ = connection.SetReadDeadline(time.Now()) })
	if err != nil {
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			err = refuse(mpocv1.CodeTooLarge, "keep to the bounds of "+mpocv1.PathOpenAPI,
				"the body is longer than %d bytes", long.Limit)
		case errors.Is(err, gate.ErrFull), errors.Is(err, gate.ErrSlow):
			err = full(err)
		case errors.Is(err, mpocv1.ErrBody):
		default:
			return // it broke
		}
		p.reply(w, nil, err)
		return
	}
	defer free()
	if wait := p.gate.Take(r.RemoteAddr, sizeOf(len(body))); wait > 0 {
		p.reply(w, nil, limited(wait))
		return
	}
	if kind == mpocv1.TypeRegister {
		if wait := p.registers.Take(r.RemoteAddr, 1); wait > 0 {
			p.reply(w, nil, limited(wait))
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	answer, err := f.run(ctx, body, free)
	p.reply(w, answer, err)
}

func limited(wait time.Duration) *mpocv1.Error {
	e := refuse(mpocv1.CodeRateLimited, "wait, then send the same again", "too many requests "+
		"from this address")
	e.RetryAfterMS = uint64(wait.Milliseconds()) + 1
	return e
}

func full(err error) *mpocv1.Error {
	e := refuse(mpocv1.CodeBusy, "send the same again, over a faster connection if that is why",
		"%v", err)
	e.RetryAfterMS = 1000
	return e
}

func (p *Pool) reply(w http.ResponseWriter, answer any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		e := p.answer(err)
		w.WriteHeader(status(e.Code))
		answer = e
	}
	_ = json.NewEncoder(w).Encode(answer) // who is gone does not read it
}

// socket answers a request for a socket, which frames serves from then on. It
// does not wait, so that the server's goroutine and the request are given back.
func (p *Pool) socket(steps map[string]step, w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if p.ended.Err() != nil {
		p.mu.Unlock()
		http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
		return
	}
	p.sockets.Add(1)
	p.mu.Unlock()
	remote, room, free := r.RemoteAddr, p.room(r), func() {}
	s, err := link.Accept(w, r, link.Limits{
		Message: longestMessage, Write: bodyTime, Ping: 30 * time.Second,
		Read: func(from io.Reader, abort func()) (message []byte, err error) {
			message, free, err = gate.Read(from, room, abort)
			return message, err
		},
	})
	if err != nil { // the request was answered
		p.sockets.Done()
		return
	}
	go func() {
		defer p.sockets.Done()
		defer s.Abort()
		p.frames(steps, s, remote, func() { free() })
	}()
}

// frames serves the requests as frames, one after the other, in binary messages
// of JSON, until the socket or the pool ends. handled is called after each.
func (p *Pool) frames(steps map[string]step, s *link.Socket, remote string, handled func()) {
	answers := make(chan mpocv1.Frame, 1)
	ctx, end := context.WithCancel(p.ended) // when nobody writes any longer
	defer end()
	handle := func(message []byte) error {
		defer handled()
		out := mpocv1.Frame{Type: mpocv1.TypeError}
		frame, err := mpocv1.Decode[mpocv1.Frame](message)
		var answer any
		if err == nil {
			out.ID = frame.ID
			f, known := steps[frame.Type]
			wait := p.gate.Take(remote, 1+sizeOf(len(message)))
			if wait == 0 && frame.Type == mpocv1.TypeRegister {
				wait = p.registers.Take(remote, 1)
			}
			switch {
			case wait > 0:
				err = limited(wait)
			case !known:
				err = refuse(mpocv1.CodeUnknownType, "the types are in "+mpocv1.PathOpenAPI,
					"no request %q", frame.Type)
			default:
				within, cancel := context.WithTimeout(ctx, requestTime)
				answer, err = f.run(within, frame.Body, handled)
				cancel()
			}
		}
		if err != nil {
			answer = p.answer(err)
		} else {
			out.Type = frame.Type
		}
		if out.Body, err = json.Marshal(answer); err != nil {
			return err
		}
		select {
		case answers <- out: // room for one: who does not read is not read
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_ = s.Run(p.ended, handle, func(ctx context.Context) error {
		defer end()
		for {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case out := <-answers:
				message, err := json.Marshal(out)
				if err != nil {
					return err
				}
				if err := s.Send(ctx, message); err != nil {
					return err
				}
			}
		}
	})
}
