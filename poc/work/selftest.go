// SPDX-License-Identifier: Apache-2.0

package work

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// The known answers. Seeds are 32 equal bytes: Sprint_Seed_1 and the challenge
// 0x01, the node 0x02, the segment 0x03.
const (
	knownNorm   = 554619109818
	knownDigest = "a3fecad340112544c4026b6691b93359a107e5f5c307b11038200a9dd71932a7"
	knownMiddle = "5a75b5901a6476a42e1e32685388380219a6faac1a38e216948d38c11dbac5ef"
	knownUnit   = "e1517d9304a1816de0e28a913b9dd8fcecf12517745d118e0c6cba8b17347001"
	knownNonce  = 1<<40 + 7
)

var knownShape = matmul.Shape{M: 512, K: 256, Q: 512}

// SelfTest computes published answers on an engine: units of the nano model,
// more than one at a time so that batching shows, and one small product. What it
// offers of other kinds is held against their definitions (Table.SelfTest). It
// takes a fraction of a second in plain Go. Errors wrap ErrSelfTest, or are the
// engine's own.
func SelfTest(ctx context.Context, e Engine) error {
	if err := selfTestTransformer(ctx, e); err != nil {
		return fmt.Errorf("work: self-test of %s: transformer/1: %w", e.Name(), err)
	}
	if err := selfTestMatmul(ctx, e); err != nil {
		return fmt.Errorf("work: self-test of %s: matmul/1: %w", e.Name(), err)
	}
	return Kinds().SelfTest(ctx, e)
}

// SelfTest computes units of the smallest size of every kind that an engine makes
// an offer for, more than one at a time, and holds them against the definition.
// Errors wrap ErrSelfTest, or are the engine's own.
func (t Table) SelfTest(ctx context.Context, e Engine) error {
	for _, k := range t {
		if err := selfTestOffer(ctx, e, k); err != nil {
			return fmt.Errorf("work: self-test of %s: %s: %w", e.Name(), k.Name(), err)
		}
	}
	return nil
}

// The known unit comes first, in the middle and last.
var knownUnits = []uint64{knownNonce, 0, knownNonce, 1, 2, 3, knownNonce}

func selfTestOffer(ctx context.Context, e Engine, k Kind) (err error) {
	s, err := k.Spec("")
	if err != nil {
		return err
	}
	job := Job{Kind: k, Spec: s}
	for i := range s.Seeds {
		job.Seeds = append(job.Seeds, repeated(byte(i+1)))
	}
	offered, err := e.Offer(ctx, job)
	if offered == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release(offered)) }()
	definition, err := k.Reference(ctx, job)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release(definition)) }()
	got, want := make([]byte, len(knownUnits)*s.Body), make([]byte, len(knownUnits)*s.Body)
	if err := errors.Join(offered.Units(ctx, got, knownUnits),
		definition.Units(ctx, want, knownUnits)); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: %d units of %s: %x, want %x", ErrSelfTest, len(knownUnits),
			s.Text, got, want)
	}
	return nil
}

func repeated(b byte) (s seed.Seed) {
	for i := range s {
		s[i] = b
	}
	return s
}

func selfTestTransformer(ctx context.Context, e Engine) (err error) {
	m, err := e.Transformer(ctx, transformer.Nano, repeated(1), nil)
	if err != nil {
		return err
	}
	if c, ok := m.(interface{ Close() error }); ok {
		defer func() {
			if cerr := c.Close(); err == nil {
				err = cerr
			}
		}()
	}
	nonces := knownUnits
	out := make([]transformer.Output, len(nonces))
	if err := m.Run(out, repeated(2), repeated(3), nonces); err != nil {
		return err
	}
	for i, nonce := range nonces {
		if nonce != knownNonce {
			continue
		}
		o := out[i]
		if o.Norm != knownNorm || hex.EncodeToString(o.Digest[:]) != knownDigest ||
			hex.EncodeToString(o.Middle[:]) != knownMiddle {
			return fmt.Errorf("%w: unit %d in a batch of %d: norm %d, digest %x, middle %x",
				ErrSelfTest, i, len(nonces), o.Norm, o.Digest, o.Middle)
		}
	}
	return nil
}

func selfTestMatmul(ctx context.Context, e Engine) error {
	unit := [][32]byte{{}}
	if err := e.Matmul(ctx, unit, repeated(1), knownShape, []uint64{knownNonce}); err != nil {
		return err
	}
	if hex.EncodeToString(unit[0][:]) != knownUnit {
		return fmt.Errorf("%w: unit digest %x", ErrSelfTest, unit[0])
	}
	tiles := make([][32]byte, knownShape.Tiles())
	if err := e.Tiles(ctx, tiles, repeated(1), knownShape, knownNonce); err != nil {
		return err
	}
	if root := matmul.Root(tiles); root != unit[0] {
		return fmt.Errorf("%w: tiles have root %x, unit digest %x", ErrSelfTest, root, unit[0])
	}
	return nil
}
