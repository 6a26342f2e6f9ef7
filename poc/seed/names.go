// SPDX-License-Identifier: Apache-2.0

package seed

// BeaconAlpha is the VRF input of the proposer at height; prev is the beacon
// value of the height before. Nothing a proposer can vary goes in.
func BeaconAlpha(chain string, height uint64, prev Seed) Seed {
	return derive("beacon-alpha", []byte(chain), u64(height), prev[:])
}

// BeaconValue is the chain's beacon at height: beta is the VRF output over
// BeaconAlpha, proposer the raw address bytes of who made it.
func BeaconValue(chain string, height uint64, prev Seed, beta []byte, proposer []byte) Seed {
	return derive("beacon-value", []byte(chain), u64(height), prev[:], beta, proposer)
}

// BeaconMix is the mix of the beacon rule: all values from the block after
// deadline on, in height order.
func BeaconMix(chain string, deadline uint64, values []Seed) Seed {
	parts := make([][]byte, 0, 2+len(values))
	parts = append(parts, []byte(chain), u64(deadline))
	for i := range values {
		parts = append(parts, values[i][:])
	}
	return derive("beacon-mix", parts...)
}

// Sprint1 is Sprint_Seed_1 of an epoch, from which the model's weights grow.
func Sprint1(chain string, epoch uint64, mix Seed) Seed {
	return derive("sprint-1", []byte(chain), u64(epoch), mix[:])
}

// Sprint2 is Sprint_Seed_2 of an epoch, which opens the compute window.
func Sprint2(chain string, epoch uint64, mix Seed) Seed {
	return derive("sprint-2", []byte(chain), u64(epoch), mix[:])
}

// Segment is the seed of segment s of a window, counted from 1. The first
// segment's seed is sprint2 itself and value is not looked at; later ones take
// the beacon value of the segment's first block. s = 0 is answered as 1.
func Segment(sprint2 Seed, s uint32, value Seed) Seed {
	if s <= 1 {
		return sprint2
	}
	return derive("segment", sprint2[:], u64(uint64(s)), value[:])
}

// Node is Node_Seed: it ties inputs to one node of one participant, so that
// nobody's leaves are of use to anybody else.
func Node(chain, participant, node, class string) Seed {
	return derive("node", []byte(chain), []byte(participant), []byte(node), []byte(class))
}

// Input is the InputSeed of one unit, from which its four tokens are read.
func Input(node, segment Seed, nonce uint64) Seed {
	return derive("input", node[:], segment[:], u64(nonce))
}

// Weights is the prf key of an epoch's model weights.
func Weights(seed1 Seed, class string) Seed {
	return derive("xf/weights", seed1[:], []byte(class))
}

// Embed is the prf key of an epoch's token embeddings.
func Embed(seed1 Seed, class string) Seed {
	return derive("xf/embed", seed1[:], []byte(class))
}

// Matrix is the prf key of matrix 'A' or 'B' of one matmul unit. The prf nonce
// is the row of A or the column of B, and each stream starts at offset 0.
func Matrix(challenge Seed, unit uint64, matrix byte) Seed {
	return derive("matmul", challenge[:], u64(unit), u64(uint64(matrix)))
}

// Samples draws the leaves that a participant has to open.
func Samples(chain string, epoch uint64, participant string, mix Seed) Seed {
	return derive("samples", []byte(chain), u64(epoch), []byte(participant), mix[:])
}

// Committee draws who checks target in a round of validation.
func Committee(chain string, epoch uint64, round uint32, target string, mix Seed) Seed {
	return derive("committee", []byte(chain), u64(epoch), u64(uint64(round)),
		[]byte(target), mix[:])
}

// Share is one of the seeds that grow out of a seed, by number.
func Share(s Seed, index uint64) Seed {
	return derive("share", s[:], u64(index))
}

// Lottery draws which newcomers take part in an epoch; mix is that of Sprint_Seed_2.
func Lottery(chain string, epoch uint64, mix Seed) Seed {
	return derive("lottery", []byte(chain), u64(epoch), mix[:])
}

// Owed draws the order in which a member owes the targets that fell to it; mix is its committee's.
func Owed(chain string, epoch uint64, voter string, mix Seed) Seed {
	return derive("owed", []byte(chain), u64(epoch), []byte(voter), mix[:])
}

// Check draws which middle digests a member opens.
func Check(chain string, epoch uint64, voter string, mix Seed) Seed {
	return derive("check", []byte(chain), u64(epoch), []byte(voter), mix[:])
}

// Recheck draws which opened leaves of a participant the chain recomputes where nobody judged it.
func Recheck(chain string, epoch uint64, participant string, mix Seed) Seed {
	return derive("recheck", []byte(chain), u64(epoch), []byte(participant), mix[:])
}

// VerdictCommit hides a verdict until its reveal. The salt keeps the body,
// which is easy to guess, from being tried out.
func VerdictCommit(chain string, epoch uint64, round uint32, voter string, salt Seed,
	body []byte) Seed {
	return derive("verdict", []byte(chain), u64(epoch), u64(uint64(round)),
		[]byte(voter), salt[:], body)
}

// Middle is what a verdict shows per index to prove that its voter ran the unit:
// the first 8 bytes of the state before the last layer, keyed to the voter.
// middle is transformer.Output.Middle.
func Middle(chain string, epoch uint64, voter, target string, node string, segment uint32,
	nonce uint64, middle [32]byte) [8]byte {
	s := derive("middle", []byte(chain), u64(epoch), []byte(voter), []byte(target), []byte(node),
		u64(uint64(segment)), u64(nonce), middle[:])
	return [8]byte(s[:8])
}

// Heartbeat is what a consensus key signs to show that it is alive; value is
// the beacon value at height, so it cannot be signed ahead.
func Heartbeat(chain string, participant string, epoch uint64, height uint64, value Seed) Seed {
	return derive("heartbeat", []byte(chain), []byte(participant), u64(epoch),
		u64(height), value[:])
}

// Possession is what a key signs (or the VRF input it evaluates) to show that
// its owner holds it. Roles are "consensus", "vrf", "host" and "node/<id>".
func Possession(chain string, role string, participant string, key []byte) Seed {
	return derive("possession", []byte(chain), []byte(role), []byte(participant), key)
}

// MPoCChallenge is the id of one challenge of Merkle proof of compute. host and
// device are Ed25519 public keys, fresh is 32 random bytes of the host's. Who
// issues two challenges with one id has used fresh twice.
func MPoCChallenge(chain string, host, device []byte, fresh Seed) Seed {
	return derive("mpoc-challenge", []byte(chain), host, device, fresh[:])
}

// MPoC is the seed that a challenge's units grow from. Both keys are in it, so
// no loop is of use to another device, another host or another challenge.
func MPoC(chain string, challenge Seed, host, device []byte, fresh Seed) Seed {
	return derive("mpoc", []byte(chain), challenge[:], host, device, fresh[:])
}

// MPoCNonce is what a host shows of its nonce before the device commits.
func MPoCNonce(challenge, nonce Seed) Seed {
	return derive("mpoc-nonce", challenge[:], nonce[:])
}

// MPoCDraw is where everything that is checked in a committed log of loops
// comes from. The host fixed its nonce before the log was made, and the device
// its log before the nonce was shown: neither chooses.
func MPoCDraw(challenge Seed, root [32]byte, loops uint64, nonce Seed) Seed {
	return derive("mpoc-draw", challenge[:], root[:], u64(loops), nonce[:])
}

// MPoCSamples draws the stratified sample of loops of a log.
func MPoCSamples(draw Seed) Seed { return derive("mpoc-samples", draw[:]) }

// MPoCWhole draws which of the samples are recomputed whole.
func MPoCWhole(draw Seed) Seed { return derive("mpoc-whole", draw[:]) }

// MPoCAudit decides whether the log is audited in full or lightly.
func MPoCAudit(draw Seed) Seed { return derive("mpoc-audit", draw[:]) }

// MPoCPicks draws the tiles that are recomputed, round after round.
func MPoCPicks(draw Seed) Seed { return derive("mpoc-picks", draw[:]) }

// LeafNonce is a host's secret about one device's log of a segment, from the
// secret half of its key: the one seed here that is not to be shown, until the
// log is over.
func LeafNonce(secret []byte, chain, participant string, device []byte, node string, epoch uint64,
	segment uint32) Seed {
	return derive("leaf-nonce", secret, []byte(chain), []byte(participant), device, []byte(node),
		u64(epoch), u64(uint64(segment)))
}

// LeafAudit is what a host shows of its nonce before the log is made, and of how
// many leaves it will look at.
func LeafAudit(nonce Seed, samples uint32) Seed {
	return derive("leaf-audit", nonce[:], u64(uint64(samples)))
}

// LeafDraw draws the leaves that a host checks. The host fixed its nonce before
// the log was made, and cannot make last, the device's signature of the log's
// last batch; the device does not know the nonce.
func LeafDraw(nonce Seed, last [64]byte) Seed {
	return derive("leaf-draw", nonce[:], last[:])
}
