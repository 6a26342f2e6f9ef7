// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Need is a model that something cannot be computed without. It never changes, and is known by its
// address.
type Need struct {
	Model ModelKey // zero: none
	Epoch uint64   // for people
}

// Ask is what a Runner can do now.
type Ask struct {
	Most uint64 // units
	// Models are those that are built, by what needs them.
	Models map[*Need]transformer.Model
	// Halted is why nothing can be taken, and Until what ends that; empty where something can.
	Halted, Until string
}

// Piece is a slice of work.
type Piece struct {
	Model         transformer.Model
	Node, Segment seed.Seed
	Nonces        []uint64
	What          string // for errors
	Sample        bool   // to run again; else of the segment
	// Done takes the results, nil where there are none and others may have the slice. It tells of
	// the segment's whether they count, and of samples whether they were the last. It is called
	// once.
	Done func(out []transformer.Output) (counts bool)
}

// Desk hands work out. Its methods are called from many Runners, one call at a time from each.
type Desk interface {
	// Needs are those of the segment, and of samples to run again, in order of arrival.
	Needs() (segment *Need, samples []*Need)
	// Take returns the next slice of the most urgent work, nil where there is none.
	Take(Ask) *Piece
	// Building says how far the segment's model is.
	Building(segment *Need, p Progress)
	// Refuse says that the device cannot build a sample's model.
	Refuse(sample *Need, why error)
}
