// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"crypto/ed25519"
	"errors"

	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/work"
)

// Refusal is why a host does not admit a machine.
type Refusal struct {
	Reason, Next string
	// Stranger tells that the host does not know the key.
	Stranger bool
}

// Admitted asks a host for a place in its Sprints, as a worker that starts does,
// and leaves at once. node is the machine's name there, empty where it is refused.
// A worker that runs with the same key would lose its connection.
func Admitted(ctx context.Context, url string, key ed25519.PrivateKey) (node string,
	refusal Refusal, err error) {
	address, err := link.ParseAddress(url)
	if err != nil {
		return "", Refusal{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	socket, err := link.Dial(ctx, address, workerv1.Path, key, limits)
	// A Hello names an engine; this one every machine has.
	s := newMachine(Config{Agent: "assay-worker doctor",
		Devices: []Device{{ID: "doctor", Engine: work.Reference()}}}, address, key, nil).session
	if err == nil {
		defer socket.Abort()
		var w *workerv1.Welcome
		if w, err = s.hello(ctx, socket); err == nil {
			socket.Close("only asking")
			return w.Node, Refusal{}, nil
		}
	}
	refusal.Reason, refusal.Next, refusal.Stranger = s.why(err)
	if errors.As(err, new(*refused)) {
		err = nil
	} else {
		err = errors.New(refusal.Reason)
	}
	return "", refusal, err
}
