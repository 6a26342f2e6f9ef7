// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Kernel is the only kernel of loops.
const Kernel = "matmul/1"

// Limits of what terms may ask for.
const (
	MaxPicks    = 512 // of one round
	MaxWhole    = 10
	maxTermsMS  = 120_000
	maxExpiryMS = 3_600_000
	MaxUnlock   = 10_000
	MaxBan      = 1000
	maxChain    = 64
	// MaxLoops of the largest shape are 2^57 operations: what they are paid is an Amount
	maxPayBits = 104
	// maxTime is the largest unix time in milliseconds, which a double still
	// holds exactly.
	maxTime = 1<<53 - 1
)

var (
	// ErrTerms reports terms that no honest host offers.
	ErrTerms = errors.New("mpoc: terms not acceptable")
	// ErrCommit reports a commit outside its terms.
	ErrCommit = errors.New("mpoc: commit not within its terms")
	// ErrDraw reports a draw that does not follow from terms and commit.
	ErrDraw = errors.New("mpoc: draw does not follow from the terms")
)

// Terms is one challenge: what a host asks of one device, how it will check it
// and what it pays. The host signs it.
type Terms struct {
	Chain         string      `json:"chain"`
	HostKey       signed.Key  `json:"host_key"`
	DeviceKey     signed.Key  `json:"device_key"`
	ChallengeID   signed.Hash `json:"challenge_id"` // seed.MPoCChallenge
	Seed          signed.Hash `json:"seed"`         // seed.MPoC
	Fresh         signed.Hash `json:"fresh"`        // the host's random bytes in both
	Kernel        string      `json:"kernel"`
	Shape         Shape       `json:"shape"`
	DurationMS    uint64      `json:"duration_ms"` // how long to compute
	Issued        uint64      `json:"issued"`      // unix milliseconds of the host's clock
	Expiry        uint64      `json:"expiry"`      // a commit that arrives later is late
	HostNonceHash signed.Hash `json:"host_nonce_hash"`
	Whole         uint32      `json:"whole"`     // samples recomputed whole in a full audit (m)
	Picks         uint32      `json:"picks"`     // tiles of a round of a full audit (k)
	Light         uint32      `json:"light"`     // tiles of a light one
	MaxLoops      uint64      `json:"max_loops"` // more are not accepted
	// PayPerTebiop is what 2^40 verified operations are paid.
	PayPerTebiop Amount `json:"pay_per_tebiop"`
	// The rules of this pay. It is locked until UnlockAfter clean submissions have
	// followed, counted again behind one that is not; then it is due whatever comes. A
	// proven cheat in this submission forfeits Forfeits, and the key is banned if it
	// has BanAfter of them.
	UnlockAfter uint32 `json:"unlock_after"`
	BanAfter    uint32 `json:"ban_after"`
	Forfeits    string `json:"forfeits"` // ForfeitsLocked
}

// ForfeitsLocked is all that a cheat may cost: the pay of the key that is locked.
const ForfeitsLocked = "locked"

// Offer fills in everything of terms that follows: id, seed, nonce hash, and
// what has one value only. The other fields are set by the host.
func Offer(t Terms, fresh, nonce seed.Seed) Terms {
	t.Fresh = signed.Hash(fresh)
	t.Kernel, t.Forfeits = Kernel, ForfeitsLocked
	t.ChallengeID = signed.Hash(t.challenge())
	t.Seed = signed.Hash(t.seed())
	t.HostNonceHash = signed.Hash(seed.MPoCNonce(t.challenge(), nonce))
	return t
}

func (t Terms) challenge() seed.Seed {
	return seed.MPoCChallenge(t.Chain, t.HostKey[:], t.DeviceKey[:], seed.Seed(t.Fresh))
}

func (t Terms) seed() seed.Seed {
	return seed.MPoC(t.Chain, t.challenge(), t.HostKey[:], t.DeviceKey[:], seed.Seed(t.Fresh))
}

// DefaultPicks is k: 90 uniform picks meet a forged share of 5 % of all tiles
// with 99 % (audit.KFor).
const DefaultPicks = 90

// DefaultLight is how many tiles a light audit recomputes.
const DefaultLight = 3

// DefaultWhole returns m, how many samples a host recomputes whole in a full
// audit of a shape: 3 as long as a unit is a second or so of plain Go, and none
// above. The picks say the same about large units for a hundredth of the work.
func DefaultWhole(s matmul.Shape) uint32 {
	if s.Ops() > 1<<31 {
		return 0
	}
	return 3
}

// Valid checks everything that a device can check before it works. It does not
// look at a clock. Errors wrap ErrTerms.
func (t Terms) Valid() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrTerms}, args...)...)
	}
	switch {
	case !printable(t.Chain, 1, maxChain):
		return bad("chain id")
	case t.Kernel != Kernel:
		return bad("kernel %.20q", t.Kernel)
	case !slices.Contains(Shapes(), t.Shape.Matmul()):
		return bad("shape %v is not a published one", t.Shape)
	case t.DurationMS == 0 || t.DurationMS > maxTermsMS:
		return bad("duration of %d ms", t.DurationMS)
	case t.Issued > maxTime || t.Expiry > maxTime || t.Expiry <= t.Issued ||
		t.Expiry-t.Issued > maxExpiryMS:
		return bad("issued at %d and expires at %d", t.Issued, t.Expiry)
	case t.Expiry-t.Issued < t.DurationMS:
		return bad("expires before its duration is over")
	case t.Whole > MaxWhole || t.Picks == 0 || t.Picks > MaxPicks || t.Light == 0 ||
		t.Light > t.Picks:
		return bad("%d samples whole, %d picks, %d in a light audit", t.Whole, t.Picks, t.Light)
	case t.MaxLoops == 0 || t.MaxLoops > MaxLoops:
		return bad("at most %d loops", t.MaxLoops)
	case t.UnlockAfter > MaxUnlock || t.BanAfter == 0 || t.BanAfter > MaxBan ||
		t.Forfeits != ForfeitsLocked:
		return bad("pay is due after %d submissions, a ban comes after %d cheats, and a cheat "+
			"forfeits %.20q", t.UnlockAfter, t.BanAfter, t.Forfeits)
	case t.ChallengeID != signed.Hash(t.challenge()):
		return bad("the challenge id does not follow from chain, keys and fresh bytes")
	case t.Seed != signed.Hash(t.seed()):
		return bad("the seed does not follow from chain, keys and fresh bytes")
	}
	if err := t.PayPerTebiop.Valid(); err != nil {
		return bad("pay: %w", err)
	}
	if t.PayPerTebiop.Big().BitLen() > maxPayBits {
		return bad("pay of %s acpc", t.PayPerTebiop)
	}
	return nil
}

// printable reports whether s is ASCII that can be shown, of the given length.
func printable(s string, least, most int) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}

// SignBytes returns the message that the host signs.
func (t Terms) SignBytes() []byte {
	s := t.Shape
	return *signed.Say("assay/1/mpoc-terms").Text(t.Chain).Part(t.HostKey[:]).Part(
		t.DeviceKey[:]).Hash(t.ChallengeID).Hash(t.Seed).Hash(t.Fresh).
		Text(t.Kernel).Number(uint64(s.M)).Number(uint64(s.K)).Number(uint64(s.Q)).Number(
		t.DurationMS).Number(t.Issued).Number(t.Expiry).
		Hash(t.HostNonceHash).Number(uint64(t.Whole)).Number(uint64(t.Picks)).Number(
		uint64(t.Light)).Number(t.MaxLoops).Text(string(t.PayPerTebiop)).
		Number(uint64(t.UnlockAfter)).Number(uint64(t.BanAfter)).Text(t.Forfeits)
}

// Digest names the terms in what is said later.
func (t Terms) Digest() signed.Hash { return sha256.Sum256(t.SignBytes()) }

// Sign signs with the host's key.
func (t Terms) Sign(key ed25519.PrivateKey) signed.Signature {
	return signed.Sign(key, t.SignBytes())
}

// Verify checks form and signature. Errors wrap ErrTerms or signed.ErrSignature.
func (t Terms) Verify(sig signed.Signature) error {
	if err := t.Valid(); err != nil {
		return err
	}
	return signed.Check("host", t.HostKey, t.SignBytes(), sig)
}

// Commit is what a device says when it has computed: how many loops, and the
// root of the log of their leaves. It is bound to the terms by their digest.
type Commit struct {
	Loops       uint64      `json:"loops"`
	ComputeTime Seconds     `json:"compute_time"` // a hint: the host's clock decides
	MerkleRoot  signed.Hash `json:"merkle_root"`
}

// Log is a committed log: terms and the commit under them.
type Log struct {
	Terms  Terms
	Commit Commit
}

// Valid checks the commit against its terms, not the terms. Errors wrap
// ErrCommit.
func (l Log) Valid() error {
	if l.Commit.Loops == 0 || l.Commit.Loops > l.Terms.MaxLoops {
		return fmt.Errorf("%w: %d loops, at most %d", ErrCommit, l.Commit.Loops, l.Terms.MaxLoops)
	}
	if l.Commit.ComputeTime >= 1_000_000_000 {
		return fmt.Errorf("%w: compute time", ErrCommit)
	}
	return nil
}

// SignBytes returns the message that the device signs to commit.
func (l Log) SignBytes() []byte {
	return *signed.Say("assay/1/mpoc-commit").Hash(l.Terms.Digest()).Number(l.Commit.Loops).Number(
		uint64(l.Commit.ComputeTime)).Hash(l.Commit.MerkleRoot)
}

// Digest names the committed log in what is said later.
func (l Log) Digest() signed.Hash { return sha256.Sum256(l.SignBytes()) }

// Sign signs the commit with the device's key.
func (l Log) Sign(key ed25519.PrivateKey) signed.Signature {
	return signed.Sign(key, l.SignBytes())
}

// Verify checks the commit's form and signature; the terms have a Verify of
// their own. Errors wrap ErrCommit or signed.ErrSignature.
func (l Log) Verify(sig signed.Signature) error {
	if err := l.Valid(); err != nil {
		return err
	}
	return signed.Check("device", l.Terms.DeviceKey, l.SignBytes(), sig)
}

// Tiles is the number of tiles of the log.
func (l Log) Tiles() uint64 { return l.Commit.Loops * uint64(l.Terms.Shape.Matmul().Tiles()) }

const (
	leafVersion = 1
	kindLoop    = 2 // the one kind whose leaf is not a commit.Leaf
	// LeafSize is the length of a loop's canonical leaf.
	LeafSize = 2 + 3*4 + 32 + 32 + 8 + 32
)

// AppendLeaf appends the canonical leaf of loop index, whose unit digest is
// digest:
//
//	0x01 version | 0x02 kind | M K Q u32 | challenge id 32 | device key 32 | index u64 | unit digest 32
//
// little-endian. Anyone who moves a leaf to another place, device or challenge has
// to hash it again, and then it is wrong.
func (t Terms) AppendLeaf(dst []byte, index uint64, digest [32]byte) []byte {
	dst = append(dst, leafVersion, kindLoop)
	for _, side := range [...]int{t.Shape.M, t.Shape.K, t.Shape.Q} {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(side))
	}
	dst = append(dst, t.ChallengeID[:]...)
	dst = append(dst, t.DeviceKey[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, index)
	return append(dst, digest[:]...)
}

// LeafHash is the hash in the log of loop index with the given unit digest.
func (t Terms) LeafHash(index uint64, digest [32]byte) commit.Hash {
	var buf [LeafSize]byte
	return commit.LeafHash(t.AppendLeaf(buf[:0], index, digest))
}

// Samples returns s, how many loops of a log are sampled: one in a hundred, at
// least 10, and all of a log that has no more.
func Samples(loops uint64) int { return int(min(loops, max(10, (loops+99)/100))) }

// Draw is the host's answer to a commit: the nonce whose hash the terms hold,
// how likely a full audit was, and until when the openings must be there. What
// is checked follows from it and is the same for both sides.
type Draw struct {
	HostNonce signed.Hash `json:"host_nonce"`
	AuditQ32  uint64      `json:"audit_q32"` // probability of a full audit, in units of 2^-32
	Deadline  uint64      `json:"deadline"`  // unix milliseconds of the host's clock
}

// Verify checks that the draw is the one that the terms announced. Errors wrap
// ErrDraw.
func (d Draw) Verify(l Log) error {
	if d.AuditQ32 > audit.Q32One || d.Deadline > maxTime || d.Deadline < l.Terms.Issued {
		return fmt.Errorf("%w: probability %d of 2^32, deadline %d", ErrDraw,
			d.AuditQ32, d.Deadline)
	}
	if signed.Hash(seed.MPoCNonce(seed.Seed(l.Terms.ChallengeID), seed.Seed(d.HostNonce))) !=
		l.Terms.HostNonceHash {
		return fmt.Errorf("%w: the nonce is not the one whose hash the terms hold", ErrDraw)
	}
	return nil
}

// SignBytes returns the message that the host signs.
func (d Draw) SignBytes(l Log) []byte {
	return *signed.Say("assay/1/mpoc-draw").Hash(l.Digest()).Hash(d.HostNonce).Number(
		d.AuditQ32).Number(d.Deadline)
}

// Sign signs with the host's key.
func (d Draw) Sign(l Log, key ed25519.PrivateKey) signed.Signature {
	return signed.Sign(key, d.SignBytes(l))
}

// VerifySignature checks that the host signed the draw for this log, whether or
// not it follows from the terms. Errors wrap signed.ErrSignature.
func (d Draw) VerifySignature(l Log, sig signed.Signature) error {
	return signed.Check("host", l.Terms.HostKey, d.SignBytes(l), sig)
}

// Questions is all that is checked in a committed log.
type Questions struct {
	log  Log
	draw Draw
	seed seed.Seed
}

// Questions returns what a draw asks about a log.
func (d Draw) Questions(l Log) Questions {
	return Questions{log: l, draw: d, seed: seed.MPoCDraw(seed.Seed(l.Terms.ChallengeID),
		l.Commit.MerkleRoot, l.Commit.Loops, seed.Seed(d.HostNonce))}
}

// Full reports whether the audit is a full one: the first 4 bytes of the audit
// seed, little-endian, are below AuditQ32. Nobody knew before the log was fixed.
func (q Questions) Full() bool {
	s := seed.MPoCAudit(q.seed)
	return uint64(binary.LittleEndian.Uint32(s[:])) < q.draw.AuditQ32
}

// Samples returns the sampled loops, rising, one of each stratum.
func (q Questions) Samples() []uint64 {
	return audit.Stratified(seed.MPoCSamples(q.seed), q.log.Commit.Loops,
		Samples(q.log.Commit.Loops))
}

// Whole returns the sampled loops that are recomputed whole, rising; none in a
// light audit.
func (q Questions) Whole() []uint64 {
	if !q.Full() || q.log.Terms.Whole == 0 {
		return nil
	}
	samples := q.Samples()
	chosen := audit.Draw(seed.MPoCWhole(q.seed), uint64(len(samples)), int(q.log.Terms.Whole))
	for i, at := range chosen {
		chosen[i] = samples[at]
	}
	return chosen
}

// Pick names one tile of the log.
type Pick struct {
	Index uint64 `json:"index"`
	Tile  uint32 `json:"tile"` // row-major in its unit
}

// Picks returns the tiles of one round in rising order. Round 0 is the audit's,
// full or light; later rounds are asked when tiles were wrong and are as large
// as a full one. No tile is in two rounds, and the last rounds of a small log
// are short or empty.
//
// All rounds are one sequence (audit.Distinct over all tiles of the log, tile t
// of loop i being number i*tiles+t), cut in pieces.
func (q Questions) Picks(round uint32) []Pick {
	if round >= q.log.Terms.MaxRounds() {
		return nil
	}
	picks := q.sequence(q.Checked(round + 1))[q.Checked(round):]
	slices.SortFunc(picks, func(a, b Pick) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Tile, b.Tile))
	})
	return picks
}

// sequence returns the first n picks in the order in which they are drawn.
func (q Questions) sequence(n uint64) []Pick {
	tiles := uint64(q.log.Terms.Shape.Matmul().Tiles())
	drawn := audit.Distinct(seed.MPoCPicks(q.seed), q.log.Tiles(), int(n))
	picks := make([]Pick, len(drawn))
	for i, at := range drawn {
		picks[i] = Pick{Index: at / tiles, Tile: uint32(at % tiles)}
	}
	return picks
}

// Checked is the number of tiles that the first rounds look at.
func (q Questions) Checked(rounds uint32) uint64 {
	if rounds == 0 {
		return 0
	}
	first := uint64(q.log.Terms.Picks)
	if !q.Full() {
		first = uint64(q.log.Terms.Light)
	}
	later := uint64(min(rounds, q.log.Terms.MaxRounds()) - 1)
	return min(first+later*uint64(q.log.Terms.Picks), q.log.Tiles())
}

// MaxRounds is how many rounds an audit has at most: as many as the sequential
// test can read.
func (t Terms) MaxRounds() uint32 { return audit.MaxSample / max(t.Picks, 1) }

// Pay returns what operations are paid under the terms, rounded down to an
// acpc.
func (t Terms) Pay(ops uint64) Amount {
	v := new(big.Int).Mul(t.PayPerTebiop.Big(), new(big.Int).SetUint64(ops))
	return AmountOf(v.Rsh(v, 40))
}
