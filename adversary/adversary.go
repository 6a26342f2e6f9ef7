// SPDX-License-Identifier: Apache-2.0

// Package adversary holds participants that cheat, for `assay localnet --cheat` and for tests.
// Honest programs never link a cheat into what they do: a cheating worker is an honest worker over
// an engine from here, a cheating host is an honest host whose words are bent on the way out. The
// host of a cheating worker is in it: an honest one would find the forged leaves and leave them out
// before it commits.
//
//	forge     a quarter of the leaves are made up, which saves a quarter of the work
//	skip      the model's last layer is left out, which saves a quarter of a nano unit
//	reuse     the leaves are another participant's, which saves nothing but could be borrowed work
//	withhold  the drawn leaves are not opened
//	vote      every verdict is a fail that names honest leaves
package adversary

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// The cheats by name; None is honesty.
const (
	None     = "none"
	Forge    = "forge"
	Skip     = "skip"
	Reuse    = "reuse"
	Withhold = "withhold"
	Vote     = "vote"
)

// Names lists the cheats.
func Names() []string { return []string{Forge, Skip, Reuse, Withhold, Vote} }

// Valid reports an unknown cheat.
func Valid(cheat string) error {
	if cheat == None || slices.Contains(Names(), cheat) {
		return nil
	}
	return fmt.Errorf("adversary: no cheat %q; choose one of %v, or none", cheat, Names())
}

// Who is a participant's node as leaves are bound to it.
type Who struct{ Chain, Participant, Node string }

func (w Who) seed(class transformer.Class) seed.Seed {
	return seed.Node(w.Chain, w.Participant, w.Node, class.Name)
}

// Engine wraps a worker's engine so that it cheats in its own leaves and is honest in what it
// re-runs for others: a cheat that also votes wrongly is caught twice. Cheats of the host leave the
// engine as it is.
func Engine(honest work.Engine, cheat string, self, victim Who) work.Engine {
	switch cheat {
	case Forge, Skip, Reuse:
		return engine{honest, cheat, self, victim}
	default:
		return honest
	}
}

type engine struct {
	work.Engine
	cheat        string
	self, victim Who
}

func (e engine) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	honest, err := e.Engine.Transformer(ctx, class, seed1, progress)
	if err != nil {
		return nil, err
	}
	m := &model{Model: honest, self: e.self.seed(class)}
	switch e.cheat {
	case Forge:
		m.cheat = m.forge
	case Reuse:
		victim := e.victim.seed(class)
		m.cheat = func(dst []transformer.Output, _, segment seed.Seed, nonces []uint64) error {
			return honest.Run(dst, victim, segment, nonces)
		}
	case Skip:
		short := shorten(class, seed1)
		m.cheat = func(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
			for i, nonce := range nonces {
				dst[i] = short.unit(seed.Input(node, segment, nonce))
			}
			return nil
		}
	}
	return m, nil
}

type model struct {
	transformer.Model
	self  seed.Seed
	cheat func(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error
}

func (m *model) Run(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	if node == m.self && len(dst) == len(nonces) {
		return m.cheat(dst, node, segment, nonces)
	}
	return m.Model.Run(dst, node, segment, nonces)
}

// forge makes up every fourth leaf: a plausible norm and a random digest.
func (m *model) forge(dst []transformer.Output, node, segment seed.Seed, nonces []uint64) error {
	for i, nonce := range nonces {
		if nonce%4 != 3 {
			if err := m.Model.Run(dst[i:i+1], node, segment, nonces[i:i+1]); err != nil {
				return err
			}
			continue
		}
		input := seed.Input(node, segment, nonce)
		dst[i] = transformer.Output{Record: record.Record{Norm: 1<<42 +
			binary.LittleEndian.Uint64(input[:])>>23, Digest: sha256.Sum256(input[:])}}
	}
	return nil
}

// WithholdOpening never opens.
func WithholdOpening(*sprintv1.MsgOpen) *sprintv1.MsgOpen { return nil }

// VoteFail turns every verdict into a fail that names the first leaves its voter was to judge as
// mismatches.
func VoteFail(body *sprintv1.VerdictBody, duties []sprintv1.Duty) {
	body.Votes, body.Mismatches = nil, nil
	for d := range duties {
		body.Votes = append(body.Votes, byte(sprintv1.VoteFail))
		for l := range min(4, len(duties[d].Leaves)) {
			body.Mismatches = append(body.Mismatches,
				sprintv1.Mismatch{Duty: uint32(d), Leaf: uint32(l)})
		}
	}
}
