// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/seed"
)

// ErrSpec reports a text that names no work of a kind, or of a table of kinds.
var ErrSpec = errors.New("work: no such work")

// Kind is a kind of work, as a value: all that the network has to know of it. A
// new one is a type with these methods in files of its own, and a line in Kinds.
//
// What its units give is a body: bytes of one length, which logs, batches and
// stores keep and nobody else looks into. Every unit has one body, exact to the
// bit (spec W-1). It should end in a digest: a Judge takes a fast engine's word for a
// claim that it confirms, since errors do not meet in 32 bytes as they do in one.
type Kind interface {
	// Name names the rules and their version: "transformer/1".
	Name() string
	// Spec reads the one text of a size of this work, as statements, orders and
	// parameters spell it. The empty text is the smallest size, which self-tests
	// and measurements take. Errors wrap ErrSpec.
	Spec(text string) (Spec, error)
	// Reference returns what computes a job by the definition: plain Go on the
	// caller's goroutine. Errors wrap ErrCall for seeds that do not fit the spec.
	Reference(ctx context.Context, job Job) (Computer, error)
	// Check returns the body that a unit has to have, where somebody says that it
	// is claimed; the claim is right if they are equal. by is what Reference made.
	// A kind that can check for less than it computes does.
	Check(ctx context.Context, by Computer, unit uint64, claimed []byte) (want []byte, err error)
	// Price says what a unit counts and takes.
	Price(Spec) Price
}

// Spec is one size of a kind of work. It is comparable.
type Spec struct {
	Text  string // its spelling; no two kinds of a table share one
	Kind  uint8  // number of the kind in leaves (spec C-8, C-9, C-17)
	ID    uint8  // number of the size in leaves; 0 where its leaves have another form
	Body  int    // bytes of a body
	Seeds int    // that a job needs: 3 for the work of a log, see Job
}

// Price is what a unit counts and takes.
type Price struct {
	Ops    uint64 // nominal integer operations, in which work is counted and paid
	Memory uint64 // bytes that computing takes at once, whatever the number of units
}

// Job is work of one kind and size that follows from the same seeds. For work of
// a log these are Sprint_Seed_1, the node's seed and the segment's.
type Job struct {
	Kind  Kind
	Spec  Spec
	Seeds []seed.Seed
}

// Fits reports whether the job has as many seeds as its spec wants. Errors wrap
// ErrCall.
func (j Job) Fits() error {
	if len(j.Seeds) != j.Spec.Seeds {
		return fmt.Errorf("%w: %d seeds for %s, which has %d", ErrCall, len(j.Seeds),
			j.Spec.Text, j.Spec.Seeds)
	}
	return nil
}

// Computer computes units of a job. It is safe for concurrent use, and results do
// not depend on how calls are batched. One that holds a device's memory is also an
// io.Closer.
type Computer interface {
	// Units writes the bodies of units to dst, one behind the other:
	// len(dst) == len(units) * Spec.Body. On an error dst is undefined.
	Units(ctx context.Context, dst []byte, units []uint64) error
}

// Table lists kinds of work.
type Table []Kind

// Kinds is the table of the network.
func Kinds() Table {
	return Table{
		Transformer,
		Matmul,
	}
}

// Find returns the kind and size that a text names. Errors wrap ErrSpec.
func (t Table) Find(text string) (Kind, Spec, error) {
	if text != "" {
		for _, k := range t {
			if s, err := k.Spec(text); err == nil {
				return k, s, nil
			}
		}
	}
	return nil, Spec{}, fmt.Errorf("%w: %.64q", ErrSpec, text)
}

// typed are the kinds that every engine computes by methods of their own.
type typed interface {
	on(ctx context.Context, e Engine, job Job) (Computer, error)
}

// On returns what computes a job on an engine: the engine's method for the kind, or
// its offer, or where it has none the definition. Close it if it can be closed.
func On(ctx context.Context, e Engine, job Job) (Computer, error) {
	if err := job.Fits(); err != nil {
		return nil, err
	}
	if k, ok := job.Kind.(typed); ok {
		return k.on(ctx, e, job)
	}
	if c, err := e.Offer(ctx, job); c != nil || err != nil {
		return c, err
	}
	return job.Kind.Reference(ctx, job)
}

// Recompute is the Check of a kind that has no cheaper one.
func Recompute(ctx context.Context, by Computer, unit uint64, claimed []byte) ([]byte, error) {
	want := make([]byte, len(claimed))
	return want, by.Units(ctx, want, []uint64{unit})
}

// release gives back what a computer holds.
func release(c Computer) error {
	if c, ok := c.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}
