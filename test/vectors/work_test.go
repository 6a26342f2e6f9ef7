// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"encoding/hex"
	"testing"

	"github.com/assaynet/assay/poc/prf"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/condense"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// seedIn holds the arguments of any seed function; each uses its own.
type seedIn struct {
	Function    string      `json:"function"`
	Chain       string      `json:"chain,omitempty"`
	Height      uint64      `json:"height,omitempty,string"`
	Epoch       uint64      `json:"epoch,omitempty,string"`
	Round       uint32      `json:"round,omitempty"`
	Segment     uint32      `json:"segment,omitempty"`
	Number      uint64      `json:"number,omitempty,string"` // nonce, unit or index
	Participant string      `json:"participant,omitempty"`   // also target
	Node        string      `json:"node,omitempty"`
	Class       string      `json:"class,omitempty"`
	Voter       string      `json:"voter,omitempty"`
	Role        string      `json:"role,omitempty"`
	Matrix      string      `json:"matrix,omitempty"` // one character
	Seeds       []seed.Seed `json:"seeds,omitempty"`  // in the order of the arguments
	Bytes       []raw       `json:"bytes,omitempty"`  // in the order of the arguments
}

func computeSeed(t testing.TB, in seedIn) raw {
	at := func(i int) seed.Seed { return in.Seeds[i] }
	var s seed.Seed
	switch in.Function {
	case "beacon-alpha":
		s = seed.BeaconAlpha(in.Chain, in.Height, at(0))
	case "beacon-value":
		s = seed.BeaconValue(in.Chain, in.Height, at(0), in.Bytes[0], in.Bytes[1])
	case "beacon-mix":
		s = seed.BeaconMix(in.Chain, in.Height, in.Seeds)
	case "sprint-1":
		s = seed.Sprint1(in.Chain, in.Epoch, at(0))
	case "sprint-2":
		s = seed.Sprint2(in.Chain, in.Epoch, at(0))
	case "segment":
		s = seed.Segment(at(0), in.Segment, at(1))
	case "node":
		s = seed.Node(in.Chain, in.Participant, in.Node, in.Class)
	case "input":
		s = seed.Input(at(0), at(1), in.Number)
	case "xf/weights":
		s = seed.Weights(at(0), in.Class)
	case "xf/embed":
		s = seed.Embed(at(0), in.Class)
	case "matmul":
		s = seed.Matrix(at(0), in.Number, in.Matrix[0])
	case "samples":
		s = seed.Samples(in.Chain, in.Epoch, in.Participant, at(0))
	case "committee":
		s = seed.Committee(in.Chain, in.Epoch, in.Round, in.Participant, at(0))
	case "share":
		s = seed.Share(at(0), in.Number)
	case "lottery":
		s = seed.Lottery(in.Chain, in.Epoch, at(0))
	case "owed":
		s = seed.Owed(in.Chain, in.Epoch, in.Voter, at(0))
	case "check":
		s = seed.Check(in.Chain, in.Epoch, in.Voter, at(0))
	case "recheck":
		s = seed.Recheck(in.Chain, in.Epoch, in.Participant, at(0))
	case "verdict":
		s = seed.VerdictCommit(in.Chain, in.Epoch, in.Round, in.Voter, at(0), in.Bytes[0])
	case "middle":
		m := seed.Middle(in.Chain, in.Epoch, in.Voter, in.Participant, in.Node,
			in.Segment, in.Number, at(0))
		return m[:]
	case "heartbeat":
		s = seed.Heartbeat(in.Chain, in.Participant, in.Epoch, in.Height, at(0))
	case "possession":
		s = seed.Possession(in.Chain, in.Role, in.Participant, in.Bytes[0])
	case "mpoc-challenge":
		s = seed.MPoCChallenge(in.Chain, in.Bytes[0], in.Bytes[1], at(0))
	case "mpoc":
		s = seed.MPoC(in.Chain, at(0), in.Bytes[0], in.Bytes[1], at(1))
	case "mpoc-nonce":
		s = seed.MPoCNonce(at(0), at(1))
	case "mpoc-draw":
		s = seed.MPoCDraw(at(0), at(1), in.Number, at(2))
	case "mpoc-samples":
		s = seed.MPoCSamples(at(0))
	case "mpoc-whole":
		s = seed.MPoCWhole(at(0))
	case "mpoc-audit":
		s = seed.MPoCAudit(at(0))
	case "mpoc-picks":
		s = seed.MPoCPicks(at(0))
	case "leaf-nonce":
		s = seed.LeafNonce(in.Bytes[0], in.Chain, in.Participant, in.Bytes[1], in.Node,
			in.Epoch, in.Segment)
	case "leaf-audit":
		s = seed.LeafAudit(at(0), uint32(in.Number))
	case "leaf-draw":
		s = seed.LeafDraw(at(0), [64]byte(in.Bytes[0]))
	default:
		t.Fatalf("no seed function %q", in.Function)
	}
	return s[:]
}

// Holds spec W-4.
func TestSeed(t *testing.T) {
	a, b, c := counted(1), counted(0x40), counted(0x80)
	var inputs []given[seedIn]
	add := func(name string, in seedIn) {
		inputs = append(inputs, given[seedIn]{name, in})
	}
	const chain, who = "assay-test", "cpc1example"
	add("beacon-alpha", seedIn{Function: "beacon-alpha", Chain: chain, Height: 1 << 40,
		Seeds: []seed.Seed{a}})
	add("beacon-value", seedIn{Function: "beacon-value", Chain: chain, Height: 12,
		Seeds: []seed.Seed{a}, Bytes: []raw{{1, 2, 3}, {4, 5}}})
	add("beacon-mix of none", seedIn{Function: "beacon-mix", Chain: chain, Height: 12})
	add("beacon-mix of three", seedIn{Function: "beacon-mix", Chain: chain, Height: 12,
		Seeds: []seed.Seed{a, b, c}})
	add("sprint-1", seedIn{Function: "sprint-1", Chain: chain, Epoch: 7, Seeds: []seed.Seed{a}})
	add("sprint-2", seedIn{Function: "sprint-2", Chain: chain, Epoch: 7, Seeds: []seed.Seed{a}})
	add("segment 1 is sprint-2", seedIn{Function: "segment", Segment: 1, Seeds: []seed.Seed{a, b}})
	add("segment 2", seedIn{Function: "segment", Segment: 2, Seeds: []seed.Seed{a, b}})
	add("node", seedIn{Function: "node", Chain: chain, Participant: who,
		Node: "gpu-0", Class: "nano"})
	add("node, no string joins", seedIn{Function: "node", Chain: chain, Participant: who + "g",
		Node: "pu-0", Class: "nano"})
	add("input", seedIn{Function: "input", Number: 1<<48 - 2, Seeds: []seed.Seed{a, b}})
	add("weights", seedIn{Function: "xf/weights", Class: "nano", Seeds: []seed.Seed{a}})
	add("embed", seedIn{Function: "xf/embed", Class: "nano", Seeds: []seed.Seed{a}})
	add("matrix A", seedIn{Function: "matmul", Number: 3, Matrix: "A", Seeds: []seed.Seed{a}})
	add("matrix B", seedIn{Function: "matmul", Number: 3, Matrix: "B", Seeds: []seed.Seed{a}})
	add("samples", seedIn{Function: "samples", Chain: chain, Epoch: 7, Participant: who,
		Seeds: []seed.Seed{a}})
	add("committee", seedIn{Function: "committee", Chain: chain, Epoch: 7, Round: 2,
		Participant: who, Seeds: []seed.Seed{a}})
	add("share", seedIn{Function: "share", Number: 99, Seeds: []seed.Seed{a}})
	add("lottery", seedIn{Function: "lottery", Chain: chain, Epoch: 7, Seeds: []seed.Seed{a}})
	add("owed", seedIn{Function: "owed", Chain: chain, Epoch: 7, Voter: "cpc1voter",
		Seeds: []seed.Seed{a}})
	add("check", seedIn{Function: "check", Chain: chain, Epoch: 7, Voter: "cpc1voter",
		Seeds: []seed.Seed{a}})
	add("recheck", seedIn{Function: "recheck", Chain: chain, Epoch: 7, Participant: who,
		Seeds: []seed.Seed{a}})
	add("verdict", seedIn{Function: "verdict", Chain: chain, Epoch: 7, Round: 1, Voter: "cpc1voter",
		Seeds: []seed.Seed{a}, Bytes: []raw{{9, 9}}})
	add("middle", seedIn{Function: "middle", Chain: chain, Epoch: 7, Voter: "cpc1voter",
		Participant: who, Node: "gpu-0", Segment: 1, Number: 5, Seeds: []seed.Seed{a}})
	add("heartbeat", seedIn{Function: "heartbeat", Chain: chain, Participant: who, Epoch: 7,
		Height: 1000, Seeds: []seed.Seed{a}})
	add("possession", seedIn{Function: "possession", Chain: chain, Role: "vrf", Participant: who,
		Bytes: []raw{{1, 2, 3, 4}}})
	add("mpoc challenge", seedIn{Function: "mpoc-challenge", Chain: chain, Seeds: []seed.Seed{a},
		Bytes: []raw{b[:], c[:]}})
	add("mpoc", seedIn{Function: "mpoc", Chain: chain, Seeds: []seed.Seed{a, b},
		Bytes: []raw{b[:], c[:]}})
	add("mpoc nonce", seedIn{Function: "mpoc-nonce", Seeds: []seed.Seed{a, b}})
	add("mpoc draw", seedIn{Function: "mpoc-draw", Number: 1000, Seeds: []seed.Seed{a, b, c}})
	add("mpoc samples", seedIn{Function: "mpoc-samples", Seeds: []seed.Seed{a}})
	add("mpoc whole", seedIn{Function: "mpoc-whole", Seeds: []seed.Seed{a}})
	add("mpoc audit", seedIn{Function: "mpoc-audit", Seeds: []seed.Seed{a}})
	add("mpoc picks", seedIn{Function: "mpoc-picks", Seeds: []seed.Seed{a}})
	add("leaf nonce", seedIn{Function: "leaf-nonce", Chain: chain, Participant: who, Node: "gpu-0",
		Epoch: 7, Segment: 2, Bytes: []raw{a[:], b[:]}})
	add("leaf audit", seedIn{Function: "leaf-audit", Number: 200, Seeds: []seed.Seed{a}})
	add("leaf draw", seedIn{Function: "leaf-draw", Seeds: []seed.Seed{a},
		Bytes: []raw{append(b.Bytes(), c[:]...)}})
	check(t, "seed.json", "SHA-256 over LE32-length-prefixed tag and parts; function is the tag "+
		"without assay/1/", inputs, computeSeed)
}

type prfIn struct {
	Key    seed.Seed `json:"key"`
	Nonce  uint64    `json:"nonce,string"`
	Offset uint64    `json:"offset,string"`
	Length int       `json:"length"`
}

// Holds spec W-6.
func TestPRF(t *testing.T) {
	check(t, "prf.json", "bytes of ChaCha8 streams: 64-bit block counter in words 12-13, 64-bit "+
		"nonce in words 14-15", []given[prfIn]{
		{"zero key (published ChaCha8 test vector)", prfIn{Length: 64}},
		{"start of a stream", prfIn{counted(0), 1, 0, 128}},
		{"high halves", prfIn{counted(0), 0x0102030405060708, 0x1122334455667740, 64}},
		{"off the block grid", prfIn{counted(7), 5, 4093, 70}},
		{"one byte", prfIn{counted(7), 5, 4095, 1}},
	}, func(_ testing.TB, in prfIn) raw {
		out := make([]byte, in.Length)
		prf.Fill(out, (*prf.Key)(&in.Key), in.Nonce, in.Offset)
		return out
	})
}

type condenseIn struct {
	Elements [64]int32 `json:"elements"`
	Position uint32    `json:"position"`
}

// Holds spec W-7.
func TestCondense(t *testing.T) {
	var ramp, limits condenseIn
	for i := range 64 {
		ramp.Elements[i] = int32(i*i*1001 - 1_000_000)
		limits.Elements[i] = -1 << 31
		if i%2 == 1 {
			limits.Elements[i] = 1<<31 - 1
		}
	}
	ramp.Position, limits.Position = 192, 0xffffffe0
	check(t, "condense.json", "wrapping sum of fmix32(c + p*0x9E3779B9), p = position, "+
		"position+1, ...", []given[condenseIn]{
		{"zeros", condenseIn{}}, {"ramp at position 192", ramp},
		{"limits, positions that wrap", limits},
	}, func(_ testing.TB, in condenseIn) uint32 { return condense.Word(&in.Elements, in.Position) })
}

type unitIn struct {
	Class   string    `json:"class"`
	Seed1   seed.Seed `json:"seed1"`
	Node    seed.Seed `json:"node_seed"`
	Segment seed.Seed `json:"segment_seed"`
	Nonce   uint64    `json:"nonce,string"`
}

type unitOut struct {
	Norm   uint64 `json:"norm,string"`
	Digest hash   `json:"digest"`
	Middle hash   `json:"middle"`
}

// Holds spec W-11, W-12, W-13, W-14, W-15, W-16, W-17.
func TestTransformer(t *testing.T) {
	models := map[unitIn]*transformer.ReferenceModel{} // by class and seed 1
	repeated := func(b byte) (s seed.Seed) {
		for i := range s {
			s[i] = b
		}
		return s
	}
	check(t, "transformer.json", "transformer/1: squared norm, digest, and middle digest of "+
		"single units", []given[unitIn]{
		{"nonce 0", unitIn{"nano", counted(1), counted(2), counted(3), 0}},
		{"nonce 1", unitIn{"nano", counted(1), counted(2), counted(3), 1}},
		{"largest index", unitIn{"nano", counted(1), counted(2), counted(3), 1<<48 - 2}},
		{"another node", unitIn{"nano", counted(1), counted(12), counted(3), 0}},
		{"another segment", unitIn{"nano", counted(1), counted(2), counted(13), 0}},
		{"another seed 1", unitIn{"nano", counted(11), counted(2), counted(3), 0}},
		{"self-test", unitIn{"nano", repeated(1), repeated(2), repeated(3), 1<<40 + 7}},
	}, func(t testing.TB, in unitIn) unitOut {
		key := unitIn{Class: in.Class, Seed1: in.Seed1}
		if models[key] == nil {
			class, err := transformer.ByName(in.Class)
			if err != nil {
				t.Fatal(err)
			}
			if models[key], err = transformer.Build(t.Context(), class, in.Seed1, nil); err != nil {
				t.Fatal(err)
			}
		}
		var out [1]transformer.Output
		if err := models[key].Run(out[:], in.Node, in.Segment, []uint64{in.Nonce}); err != nil {
			t.Fatal(err)
		}
		return unitOut{out[0].Norm, out[0].Digest, out[0].Middle}
	})
}

type matmulIn struct {
	Challenge seed.Seed `json:"challenge"`
	Unit      uint64    `json:"unit,string"`
	M         int       `json:"m"`
	K         int       `json:"k"`
	Q         int       `json:"q"`
	Tile      *[2]int   `json:"tile,omitempty"` // row and column of a tile; none: the unit
}

type matmulOut struct {
	Digest string `json:"digest,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Holds spec W-19, W-20.
func TestMatmul(t *testing.T) {
	check(t, "matmul.json", "matmul/1: digests of tiles, and of units (RFC 6962 root over their "+
		"tiles)", []given[matmulIn]{
		{"unit", matmulIn{counted(1), 0, 512, 256, 512, nil}},
		{"its first tile", matmulIn{counted(1), 0, 512, 256, 512, &[2]int{0, 0}}},
		{"its last tile", matmulIn{counted(1), 0, 512, 256, 512, &[2]int{7, 7}}},
		{"tile off the diagonal", matmulIn{counted(1), 0, 512, 256, 512, &[2]int{2, 5}}},
		{"another unit's tile", matmulIn{counted(1), 1 << 40, 512, 256, 512, &[2]int{2, 5}}},
		{"deep tile", matmulIn{counted(2), 3, 256, 65536, 1024, &[2]int{3, 15}}},
		{"depth 320", matmulIn{counted(2), 3, 256, 320, 1024, &[2]int{1, 1}}},
		{"no such row", matmulIn{counted(1), 0, 512, 256, 512, &[2]int{8, 0}}},
		{"no such column", matmulIn{counted(1), 0, 512, 256, 512, &[2]int{0, -1}}},
		{"too few results", matmulIn{counted(1), 0, 256, 256, 256, nil}},
		{"too shallow", matmulIn{counted(1), 0, 512, 192, 512, nil}},
		{"too deep", matmulIn{counted(1), 0, 512, 65600, 512, nil}},
		{"too narrow", matmulIn{counted(1), 0, 192, 512, 2048, nil}},
		{"too tall", matmulIn{counted(1), 0, 32832, 512, 512, nil}},
		{"no multiple of 64", matmulIn{counted(1), 0, 512, 300, 512, nil}},
	}, func(t testing.TB, in matmulIn) matmulOut {
		shape := matmul.Shape{M: in.M, K: in.K, Q: in.Q}
		var digest [32]byte
		var err error
		if in.Tile == nil {
			digest, err = matmul.Unit(in.Challenge, in.Unit, shape)
		} else {
			digest, err = matmul.Tile(in.Challenge, in.Unit, shape, in.Tile[0], in.Tile[1])
		}
		if err != nil {
			return matmulOut{Error: fault(t, err)}
		}
		return matmulOut{Digest: hex.EncodeToString(digest[:])}
	})
}
