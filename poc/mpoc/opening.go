// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// ErrOpening reports openings that are not those asked for, or that do not lead
// to the committed root. Such an answer counts as none: it shows nothing.
var ErrOpening = errors.New("mpoc: opening does not hold")

// Path is an inclusion path, lowest hash first. In JSON an empty one is [].
type Path []signed.Hash

// MarshalJSON writes a list also where there is none.
func (p Path) MarshalJSON() ([]byte, error) { return json.Marshal(append([]signed.Hash{}, p...)) }

// Sample opens one loop: its unit digest, and the path of its leaf to the root.
// Leaf is the leaf's hash, which follows from the rest.
type Sample struct {
	Index  uint64      `json:"index"`
	Leaf   signed.Hash `json:"leaf"`
	Digest signed.Hash `json:"digest"` // of the unit
	Proof  Path        `json:"proof"`
}

// TileOpening opens one tile: a Sample's fields, and the path of the tile's
// digest to the unit's.
type TileOpening struct {
	Index      uint64      `json:"index"`
	Tile       uint32      `json:"tile"`
	Leaf       signed.Hash `json:"leaf"`
	Digest     signed.Hash `json:"digest"`
	Proof      Path        `json:"proof"`
	TileDigest signed.Hash `json:"tile_digest"`
	TileProof  Path        `json:"tile_proof"`
}

func (o TileOpening) sample() Sample {
	return Sample{Index: o.Index, Leaf: o.Leaf, Digest: o.Digest, Proof: o.Proof}
}

// Pick names what is opened.
func (o TileOpening) Pick() Pick { return Pick{Index: o.Index, Tile: o.Tile} }

// OpenSample makes the opening of a loop from the log's subtrees.
func (l Log) OpenSample(s commit.Subtrees, index uint64, digest [32]byte) (Sample, error) {
	path, err := commit.Inclusion(s, index, l.Commit.Loops)
	if err != nil {
		return Sample{}, fmt.Errorf("mpoc: open loop %d: %w", index, err)
	}
	return Sample{Index: index, Leaf: l.Terms.LeafHash(index, digest), Digest: digest,
		Proof: wire(path)}, nil
}

// OpenTile makes the opening of a tile from the log's subtrees and the digests
// of all tiles of its unit, as an engine's method Tiles gives them.
func (l Log) OpenTile(s commit.Subtrees, pick Pick, tiles [][32]byte) (TileOpening, error) {
	var unit commit.Log
	for i := range tiles {
		unit.Append(commit.LeafHash(tiles[i][:]))
	}
	path, err := commit.Inclusion(&unit, uint64(pick.Tile), unit.Size())
	if err != nil {
		return TileOpening{}, fmt.Errorf("mpoc: open tile %d of loop %d: %w",
			pick.Tile, pick.Index, err)
	}
	o, err := l.OpenSample(s, pick.Index, unit.Root())
	if err != nil {
		return TileOpening{}, err
	}
	return TileOpening{
		Index: o.Index, Tile: pick.Tile, Leaf: o.Leaf, Digest: o.Digest, Proof: o.Proof,
		TileDigest: tiles[pick.Tile], TileProof: wire(path),
	}, nil
}

// wire and plain convert paths.
func wire(path []commit.Hash) Path {
	out := make(Path, len(path))
	for i := range path {
		out[i] = path[i]
	}
	return out
}

func plain(path Path) []commit.Hash {
	out := make([]commit.Hash, len(path))
	for i := range path {
		out[i] = path[i]
	}
	return out
}

// VerifySample checks that the loop is in the log as the opening says. Nothing
// is recomputed. Errors wrap ErrOpening.
func (l Log) VerifySample(s Sample) error {
	if want := signed.Hash(l.Terms.LeafHash(s.Index, s.Digest)); s.Leaf != want {
		return fmt.Errorf("%w: the leaf of loop %d is not that of its digest", ErrOpening, s.Index)
	}
	if err := commit.VerifyInclusion(l.Commit.MerkleRoot, l.Commit.Loops, s.Index, s.Leaf,
		plain(s.Proof)); err != nil {
		return fmt.Errorf("%w: loop %d: %w", ErrOpening, s.Index, err)
	}
	return nil
}

// VerifyTile checks that the tile is in the log as the opening says. Nothing is
// recomputed. Errors wrap ErrOpening.
func (l Log) VerifyTile(o TileOpening) error {
	if err := l.VerifySample(o.sample()); err != nil {
		return err
	}
	tiles := uint64(l.Terms.Shape.Matmul().Tiles())
	if err := commit.VerifyInclusion(o.Digest, tiles, uint64(o.Tile),
		commit.LeafHash(o.TileDigest[:]), plain(o.TileProof)); err != nil {
		return fmt.Errorf("%w: tile %d of loop %d: %w", ErrOpening, o.Tile, o.Index, err)
	}
	return nil
}

// Recompute is what checking needs of an engine: the digest of one tile, and of
// a whole unit, of a challenge. Tiles are numbered row-major.
type Recompute interface {
	Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64,
		tile uint32) ([32]byte, error)
	Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
		unit uint64) ([32]byte, error)
}

// Reference recomputes by the definition, on the caller's goroutine.
func Reference() Recompute { return reference{} }

type reference struct{}

func (reference) Tile(ctx context.Context, challenge seed.Seed, shape matmul.Shape, unit uint64,
	tile uint32) ([32]byte, error) {
	if err := ctx.Err(); err != nil {
		return [32]byte{}, err
	}
	columns := uint32(max(shape.Columns(), 1)) // of a shape without columns Tile makes an error
	return matmul.Tile(challenge, unit, shape, int(tile/columns), int(tile%columns))
}

func (r reference) Unit(ctx context.Context, challenge seed.Seed, shape matmul.Shape,
	unit uint64) ([32]byte, error) {
	if err := shape.Valid(); err != nil {
		return [32]byte{}, err
	}
	tiles := make([][32]byte, shape.Tiles()) // by tiles, so that ctx is checked
	for i := range tiles {
		var err error
		if tiles[i], err = r.Tile(ctx, challenge, shape, unit, uint32(i)); err != nil {
			return [32]byte{}, err
		}
	}
	return matmul.Root(tiles), nil
}

// recomputeSample returns what the sample's unit digest has to be.
func (l Log) recomputeSample(ctx context.Context, by Recompute, s Sample) (signed.Hash, error) {
	want, err := by.Unit(ctx, seed.Seed(l.Terms.Seed), l.Terms.Shape.Matmul(), s.Index)
	if err != nil {
		return signed.Hash{}, fmt.Errorf("mpoc: recomputing loop %d: %w", s.Index, err)
	}
	return want, nil
}

// recomputeTile returns what the tile's digest has to be.
func (l Log) recomputeTile(ctx context.Context, by Recompute, o TileOpening) (signed.Hash, error) {
	want, err := by.Tile(ctx, seed.Seed(l.Terms.Seed), l.Terms.Shape.Matmul(), o.Index, o.Tile)
	if err != nil {
		return signed.Hash{}, fmt.Errorf("mpoc: recomputing tile %d of loop %d: %w",
			o.Tile, o.Index, err)
	}
	return want, nil
}

// Proof is a device's answer to one round of questions. Samples are opened in
// round 0 only.
type Proof struct {
	Round   uint32
	Samples []Sample
	Tiles   []TileOpening
}

// SignBytes returns the message that the device signs.
func (p Proof) SignBytes(l Log, d Draw) []byte {
	body := signed.Say("assay/1/mpoc-openings").Number(uint64(len(p.Samples))).Number(
		uint64(len(p.Tiles)))
	sample := func(s Sample) {
		body.Number(s.Index).Hash(s.Leaf).Hash(s.Digest).Number(uint64(len(s.Proof)))
		for _, h := range s.Proof {
			body.Hash(h)
		}
	}
	for _, s := range p.Samples {
		sample(s)
	}
	for _, o := range p.Tiles {
		sample(o.sample())
		body.Number(uint64(o.Tile)).Hash(o.TileDigest).Number(uint64(len(o.TileProof)))
		for _, h := range o.TileProof {
			body.Hash(h)
		}
	}
	return *signed.Say("assay/1/mpoc-proof").Hash(l.Digest()).Hash(d.HostNonce).Number(
		uint64(p.Round)).Hash(sha256.Sum256(*body))
}

// Sign signs with the device's key.
func (p Proof) Sign(l Log, d Draw, key ed25519.PrivateKey) signed.Signature {
	return signed.Sign(key, p.SignBytes(l, d))
}

// VerifySignature checks that the device signed the answer. Errors wrap
// signed.ErrSignature.
func (p Proof) VerifySignature(l Log, d Draw, sig signed.Signature) error {
	return signed.Check("device", l.Terms.DeviceKey, p.SignBytes(l, d), sig)
}

// Verify checks that a proof answers its round: exactly what was asked, in
// order, with paths to the root. It hashes and recomputes nothing. Errors wrap
// ErrOpening.
func (q Questions) Verify(p Proof) error {
	if p.Round >= q.log.Terms.MaxRounds() {
		return fmt.Errorf("%w: there is no round %d", ErrOpening, p.Round)
	}
	var samples []uint64
	if p.Round == 0 {
		samples = q.Samples()
	}
	picks := q.Picks(p.Round)
	if len(p.Samples) != len(samples) || len(p.Tiles) != len(picks) {
		return fmt.Errorf("%w: %d samples and %d tiles, want %d and %d", ErrOpening, len(p.Samples),
			len(p.Tiles), len(samples), len(picks))
	}
	for i, s := range p.Samples {
		if s.Index != samples[i] {
			return fmt.Errorf("%w: sample %d is loop %d, want %d", ErrOpening,
				i, s.Index, samples[i])
		}
		if err := q.log.VerifySample(s); err != nil {
			return err
		}
	}
	for i, o := range p.Tiles {
		if o.Pick() != picks[i] {
			return fmt.Errorf("%w: opening %d is tile %d of loop %d, want %d of %d", ErrOpening, i,
				o.Tile, o.Index, picks[i].Tile, picks[i].Index)
		}
		if err := q.log.VerifyTile(o); err != nil {
			return err
		}
	}
	return nil
}

// Wrong is what recomputing found: openings whose digests are not the work's.
type Wrong struct {
	Samples []Sample
	Tiles   []TileOpening
}

// Recompute recomputes what a proof opens and Verify accepted: every tile, then
// the samples of Whole. before counts the tiles found wrong in earlier rounds. It
// stops at the wrong tile that decides, since a forger must not cost more than an
// honest machine does: what is left counts as right. Errors are by's.
func (q Questions) Recompute(ctx context.Context, by Recompute, p Proof,
	before int) (Wrong, error) {
	var wrong Wrong
	checked := q.Checked(p.Round + 1)
	for _, o := range p.Tiles {
		want, err := q.log.recomputeTile(ctx, by, o)
		if err != nil {
			return Wrong{}, err
		}
		if o.TileDigest == want {
			continue
		}
		wrong.Tiles = append(wrong.Tiles, o)
		if audit.Flaky().Decide(checked, uint64(before+len(wrong.Tiles))) == audit.Fraud {
			return wrong, nil
		}
	}
	if p.Round > 0 {
		return wrong, nil
	}
	whole := q.Whole()
	for _, s := range p.Samples {
		if len(whole) == 0 || s.Index != whole[0] {
			continue
		}
		whole = whole[1:]
		want, err := q.log.recomputeSample(ctx, by, s)
		if err != nil {
			return Wrong{}, err
		}
		if s.Digest != want {
			wrong.Samples = append(wrong.Samples, s)
		}
	}
	return wrong, nil
}
