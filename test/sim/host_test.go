// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	"github.com/cosmos/cosmos-sdk/x/authz"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Leaves of an honest node in a segment. hashedLeaves are so many that a fifth of a member's credit
// pays for judging everybody; realLeaves are fewer, because each is computed, and more in two
// segments than the 32 drawn.
const (
	hashedLeaves = 1_000
	realLeaves   = 24
)

// leavesPerLog depends on what a leaf takes.
func (n *network) leavesPerLog() int {
	if _, ok := n.engine.(*standIn); ok {
		return hashedLeaves
	}
	return realLeaves
}

// host is a participant: account, validator keys, host key, machines.
type host struct {
	net      *network
	name     string
	addr     string
	operator *secp256k1.PrivKey
	account  uint64
	sequence uint64
	// hot, when set, signs protocol messages in the operator's place, by authz.
	hot *hotKey

	consensus, vrf, key ed25519.PrivateKey
	// keys of all generations, of a host that rotates them
	keys  []ed25519.PrivateKey
	nodes []string
	cheat cheat
	// pays: its duties carry a fee, as those have to that the chain does not expect.
	pays bool
	// streams on: between the compute windows it commits, see stream_host_test.go.
	streams bool
	// gas of transactions that are no duties; 0 is plenty.
	gas uint64

	// of the running epoch
	epoch uint64
	sent  map[string]bool
	logs  map[logID]*leafLog
	said  map[bool]*verdict // on Sprints, and on streams
	found map[courtv1.LeafRef]transformer.Output
	// its streams of this epoch and of the last one
	flow, flowed *flow
}

type hotKey struct {
	key               *secp256k1.PrivKey
	account, sequence uint64
}

type logID struct {
	node    string
	segment uint32
}

type leafLog struct {
	outputs []transformer.Output
	tree    commit.Log
}

type verdict struct {
	salt    seed.Seed
	body    []byte
	middles []byte // 8 of each leaf that is judged
}

// cheat bends a host; the zero one is honest. Functions are asked each time; nil ones do nothing.
type cheat struct {
	// absent: does nothing at all in this epoch.
	absent func(epoch uint64) bool
	// gone: in this epoch its machines are, and the program that holds their logs runs on.
	gone func(epoch uint64) bool
	// instead acts in the place of an honest host; done false lets the honest one act.
	instead func(now sprintv1.QueryCurrentResponse) (msgs []sdk.Msg, done bool)
	// count of leaves of a log; nil is what leavesPerLog says.
	count func(node string, segment uint32) int
	// streamCount of leaves of a log of its stream, of which the bound lets so many through.
	streamCount func(node string, number uint32, most uint64) uint64
	// streamSeed is what the leaves of a log of its stream are computed from.
	streamSeed func(e sprintv1.Epoch, number uint32) seed.Seed
	// leaf replaces what is written down for a leaf.
	leaf func(e sprintv1.Epoch, ref courtv1.LeafRef, honest transformer.Output) transformer.Output
	// the following replace a message; nil results are not sent.
	commit        func(*sprintv1.MsgCommit) *sprintv1.MsgCommit
	stream        func(*streamCommit) *streamCommit
	open          func(*sprintv1.MsgOpen) *sprintv1.MsgOpen
	commitVerdict func(*sprintv1.MsgCommitVerdict) *sprintv1.MsgCommitVerdict
	reveal        func(*sprintv1.MsgRevealVerdict) *sprintv1.MsgRevealVerdict
	// opinion bends what it says of each duty before that becomes a verdict.
	opinion func(said []opinion)
	// middles replaces the drawn middle digests that it opens.
	middles func(*sprintv1.MsgOpenMiddles) *sprintv1.MsgOpenMiddles
	// blind: does not look for wrong middle digests of others.
	blind bool
	// refused hears of messages that the chain refused; nil fails the test.
	refused func(msg sdk.Msg, reason string)
}

func secret(role, name string) []byte {
	h := sha256.Sum256([]byte("assay sim " + role + " " + name))
	return h[:]
}

func newHost(name string, nodes ...string) *host {
	h := &host{name: name, nodes: nodes,
		operator:  &secp256k1.PrivKey{Key: secret("operator", name)},
		consensus: ed25519.NewKeyFromSeed(secret("consensus", name)),
		vrf:       ed25519.NewKeyFromSeed(secret("vrf", name)),
		key:       ed25519.NewKeyFromSeed(secret("host", name))}
	h.addr = h.account32().String()
	return h
}

func (h *host) account32() sdk.AccAddress { return sdk.AccAddress(h.operator.PubKey().Address()) }
func (h *host) consensusKey() []byte      { return h.consensus[ed25519.SeedSize:] }

// registration is what makes it a participant.
func (h *host) registration() *registryv1.MsgRegister {
	msg := &registryv1.MsgRegister{Address: h.addr, Moniker: h.name, ConsensusKey: h.consensusKey(),
		VrfKey:  h.vrf[ed25519.SeedSize:],
		HostKey: h.key[ed25519.SeedSize:], Possession: registry.ProvePossession(chainID, h.addr,
			h.consensus, h.vrf, h.key)}
	for _, node := range h.nodes {
		msg.Nodes = append(msg.Nodes,
			registry.ProveNode(chainID, h.addr, node,
				ed25519.NewKeyFromSeed(secret("device/"+node, h.name))))
	}
	return msg
}

// setNodes replaces its machines by those it has now.
func (h *host) setNodes() *registryv1.MsgSetNodes {
	return &registryv1.MsgSetNodes{Address: h.addr, Nodes: h.registration().Nodes}
}

// tx signs messages: with the hot key if there is one and it may, with the operator's otherwise.
func (h *host) tx(msgs ...sdk.Msg) []byte {
	if h.hot != nil {
		exec := authz.NewMsgExec(sdk.AccAddress(h.hot.key.PubKey().Address()), msgs)
		return h.sign(h.hot.key, h.hot.account, &h.hot.sequence, &exec)
	}
	return h.sign(h.operator, h.account, &h.sequence, msgs...)
}

func (h *host) sign(key *secp256k1.PrivKey, account uint64, sequence *uint64,
	msgs ...sdk.Msg) []byte {
	t, config := h.net.t, h.net.app.Encoding().TxConfig
	b := config.NewTxBuilder()
	if err := b.SetMsgs(msgs...); err != nil {
		t.Fatal(err)
	}
	if duties := dutiesIn(msgs); duties != nil {
		b.SetGasLimit(sprintv1.GasBound(duties...))
	} else {
		b.SetGasLimit(cmp.Or(h.gas, 20_000_000))
	}
	if h.pays || h.cheat.refused != nil || dutiesIn(msgs) == nil {
		b.SetFeeAmount(sdk.NewCoins(sdk.NewInt64Coin(app.Denom, 1)))
	}
	data := &signing.SingleSignatureData{SignMode: signing.SignMode_SIGN_MODE_DIRECT}
	sig := signing.SignatureV2{PubKey: key.PubKey(), Data: data, Sequence: *sequence}
	if err := b.SetSignatures(sig); err != nil {
		t.Fatal(err)
	}
	signer := authsigning.SignerData{Address: sdk.AccAddress(key.PubKey().Address()).String(),
		ChainID: chainID, AccountNumber: account, Sequence: *sequence, PubKey: key.PubKey()}
	raw, err := authsigning.GetSignBytesAdapter(context.Background(), config.SignModeHandler(),
		signing.SignMode_SIGN_MODE_DIRECT, signer, b.GetTx())
	if err != nil {
		t.Fatal(err)
	}
	if data.Signature, err = key.Sign(raw); err != nil {
		t.Fatal(err)
	}
	if err := b.SetSignatures(sig); err != nil {
		t.Fatal(err)
	}
	tx, err := config.TxEncoder()(b.GetTx())
	if err != nil {
		t.Fatal(err)
	}
	*sequence++
	return tx
}

// dutiesIn returns the messages of a transaction of nothing but duties; nil for any other.
func dutiesIn(msgs []sdk.Msg) (duties []sdk.Msg) {
	for _, msg := range msgs {
		inner := []sdk.Msg{msg}
		if exec, ok := msg.(*authz.MsgExec); ok {
			inner, _ = exec.GetMessages()
		}
		for _, m := range inner {
			if _, _, ok := sprintv1.DutyOf(m); !ok {
				return nil
			}
			duties = append(duties, m)
		}
	}
	return duties
}

// act does this host's part of the phase that the chain is in, as host.act does.
func (h *host) act(now sprintv1.QueryCurrentResponse) []sdk.Msg {
	e := now.Epoch
	if e.Number != h.epoch {
		h.epoch, h.sent, h.logs = e.Number, map[string]bool{}, map[logID]*leafLog{}
		h.said, h.found = map[bool]*verdict{}, map[courtv1.LeafRef]transformer.Output{}
		h.flow, h.flowed = nil, h.flow
	}
	if e.Number == 0 || h.cheat.absent != nil && h.cheat.absent(e.Number) {
		return nil
	}
	if h.cheat.gone != nil && h.cheat.gone(e.Number) {
		return h.leftOpen(e)
	}
	m, member := h.net.members(e.Number)[h.name]
	me := &m
	// who is jailed or convicted has no lane
	p, err := h.net.app.Registry.Record(h.net.ctx(), h.addr)
	if err != nil {
		return nil // it is not registered yet
	}
	h.pays = m.Jailed || m.ProvenFalse || m.Fraud || p.JailedUntil > e.Number
	if h.cheat.instead != nil {
		if msgs, done := h.cheat.instead(now); done {
			return msgs
		}
	}
	return append(h.phase(now, me, member), h.stream(now, me)...)
}

// phase is its part of a phase of the Sprint.
func (h *host) phase(now sprintv1.QueryCurrentResponse, me *sprintv1.Member,
	member bool) []sdk.Msg {
	e := now.Epoch
	switch e.Phase {
	case sprintv1.PhasePrepare:
		if len(e.Seed1) > 0 && !me.Live && !me.Jailed && (member || h.registered(e)) &&
			h.once("ready") {
			return []sdk.Msg{h.ready(now)}
		}
	case sprintv1.PhaseCompute, sprintv1.PhaseWrapUp:
		if !me.Jailed && (me.Role != sprintv1.RoleNewcomer || me.Taken) {
			return h.commits(now, me)
		}
	case sprintv1.PhaseProof:
		if h.once("open") {
			return append(h.open(e, false), h.open(e, true)...)
		}
	case sprintv1.PhaseValidate:
		return append(h.judge(e, false), h.judge(e, true)...)
	case sprintv1.PhaseReveal:
		return append(h.reveal(e, false), h.reveal(e, true)...)
	case sprintv1.PhaseCheck:
		return append(h.openMiddles(e, false), h.openMiddles(e, true)...)
	case sprintv1.PhaseDispute:
		if !h.cheat.blind {
			return append(h.dispute(e, false), h.dispute(e, true)...)
		}
	}
	return nil
}

// registered: may announce itself although it is no member yet.
func (h *host) registered(e sprintv1.Epoch) bool {
	p, err := h.net.app.Registry.Get(h.net.ctx(), h.addr)
	return err == nil && p.TakesPart(e.Number) && p.JailedUntil <= e.Number &&
		p.LotteryFrom <= e.Number
}

func (h *host) once(what string) bool {
	if h.sent[what] {
		return false
	}
	h.sent[what] = true
	return true
}

// member is this host's place in an epoch, nil if it has none.
func (h *host) member(epoch uint64) *sprintv1.Member {
	for _, m := range h.net.members(epoch) {
		if m.Participant == h.addr {
			return &m
		}
	}
	return nil
}

func (h *host) ready(now sprintv1.QueryCurrentResponse) *sprintv1.MsgReady {
	signature, err := registry.Beat(h.consensus, chainID, h.addr, now.Epoch.Number,
		now.Height, h.net.value)
	if err != nil {
		h.net.t.Fatal(err)
	}
	return &sprintv1.MsgReady{Participant: h.addr, Epoch: now.Epoch.Number, LoadMs: 7,
		Height: now.Height, Signature: signature}
}

// log computes a log when it is first needed.
func (h *host) log(e sprintv1.Epoch, node string, segment uint32) *leafLog {
	id := logID{node, segment}
	if l := h.logs[id]; l != nil {
		return l
	}
	count := h.net.leavesPerLog()
	if h.cheat.count != nil {
		count = h.cheat.count(node, segment)
	}
	l := h.compute(e, node, segment, count, seed.From(e.Segments[segment-1].Seed))
	h.logs[id] = l
	return l
}

// compute makes a log of so many leaves.
func (h *host) compute(e sprintv1.Epoch, node string, segment uint32, count int,
	s seed.Seed) *leafLog {
	l := &leafLog{}
	class := h.net.class(e)
	for i := range count {
		ref := courtv1.LeafRef{Participant: h.addr, Node: node, Segment: segment, Nonce: uint64(i)}
		out := h.net.unitOf(e, ref, s)
		if h.cheat.leaf != nil {
			out = h.cheat.leaf(e, ref, out)
		}
		l.outputs = append(l.outputs, out)
		l.tree.Append(record.Leaf{Class: class.ID, Node: node, Index: uint64(i),
			Record: out.Record}.Hash())
	}
	return l
}

func (n *network) class(e sprintv1.Epoch) transformer.Class {
	n.t.Helper()
	class, err := transformer.ByName(e.Params.Class)
	if err != nil {
		n.t.Fatal(err)
	}
	return class
}

// unit is what a leaf should hold that an epoch judges.
func (n *network) unit(e sprintv1.Epoch, ref courtv1.LeafRef) transformer.Output {
	n.t.Helper()
	if isStream(ref) {
		return n.streamUnit(e, ref)
	}
	return n.unitOf(e, ref, seed.From(e.Segments[ref.Segment-1].Seed))
}

// unitOf is what a leaf should hold whose log has a seed.
func (n *network) unitOf(e sprintv1.Epoch, ref courtv1.LeafRef,
	segment seed.Seed) (out transformer.Output) {
	n.t.Helper()
	node, err := seed.Node(chainID, ref.Participant, ref.Node, e.Params.Class), error(nil)
	if _, ok := n.engine.(*standIn); ok { // what hosts compute is not what the chain asks for
		out = hashed(n.class(e), seed.Seed(e.Seed1), node, segment, ref.Nonce)
	} else if out, err = n.engine.Unit(context.Background(), n.class(e), seed.Seed(e.Seed1), node,
		segment, ref.Nonce, record.Record{}); err != nil {
		n.t.Fatal(err)
	}
	return out
}

// commits binds every log of a segment that is over.
func (h *host) commits(now sprintv1.QueryCurrentResponse, me *sprintv1.Member) []sdk.Msg {
	e := now.Epoch
	var msgs []sdk.Msg
	for _, s := range e.Segments {
		if now.Height < s.End || now.Height >= s.CommitUntil {
			continue
		}
		for _, node := range me.Nodes {
			if l := h.log(e, node, s.Index); l.tree.Size() > 0 &&
				h.once(fmt.Sprintf("commit/%s/%d", node, s.Index)) {
				if msg := bend(h.cheat.commit, h.commitMsg(e, node, s.Index)); msg != nil {
					msgs = append(msgs, msg)
				}
			}
		}
	}
	return msgs
}

func (h *host) commitMsg(e sprintv1.Epoch, node string, segment uint32) *sprintv1.MsgCommit {
	l := h.log(e, node, segment)
	root := l.tree.Root()
	return h.signCommit(e, &sprintv1.MsgCommit{Participant: h.addr, Epoch: e.Number,
		Segment: segment, Node: node, Count: l.tree.Size(), Root: root[:]})
}

// signCommit signs a commit as it stands, with the host's key.
func (h *host) signCommit(e sprintv1.Epoch, msg *sprintv1.MsgCommit) *sprintv1.MsgCommit {
	st := commit.Statement{Chain: chainID, Epoch: msg.Epoch, Segment: msg.Segment,
		Participant: msg.Participant, Node: msg.Node, Class: e.Params.Class, Count: msg.Count}
	copy(st.Seed1[:], e.Seed1)
	if msg.Segment >= 1 && int(msg.Segment) <= len(e.Segments) {
		copy(st.SegmentSeed[:], e.Segments[msg.Segment-1].Seed)
	}
	copy(st.Root[:], msg.Root)
	msg.Signature = st.Sign(h.key)
	return msg
}

// bend applies a replacement, if there is one.
func bend[M any](f func(*M) *M, msg *M) *M {
	if f == nil || msg == nil {
		return msg
	}
	return f(msg)
}

// never is a replacement that says nothing.
func never[M any](*M) *M { return nil }

func (h *host) open(e sprintv1.Epoch, stream bool) []sdk.Msg {
	if msg := bend(h.cheat.open, h.opening(e, stream)); msg != nil {
		return []sdk.Msg{msg}
	}
	return nil
}

// samples are the leaves drawn from a participant.
func (n *network) samples(epoch uint64, participant string, stream bool) []courtv1.LeafRef {
	n.t.Helper()
	res, err := n.query().Samples(context.Background(),
		&sprintv1.QuerySamplesRequest{Epoch: epoch, Participant: participant, Stream: stream})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Leaves
}

// opening opens every drawn leaf, one multiproof per log; nil when nothing was drawn.
func (h *host) opening(e sprintv1.Epoch, stream bool) *sprintv1.MsgOpen {
	log := func(node string, segment uint32) *leafLog { return h.log(e, node, segment) }
	if stream && h.flowed == nil || !stream && h.member(e.Number) == nil {
		return nil
	} else if stream {
		log = h.flowed.log
	}
	msg := &sprintv1.MsgOpen{Participant: h.addr, Epoch: e.Number, Stream: stream}
	drawn := h.net.samples(e.Number, h.addr, stream)
	for i := 0; i < len(drawn); {
		node, segment := drawn[i].Node, drawn[i].Segment
		l := log(node, segment)
		o := sprintv1.LogOpening{Node: node, Segment: segment}
		var nonces []uint64
		for ; i < len(drawn) && drawn[i].Node == node && drawn[i].Segment == segment; i++ {
			nonces = append(nonces, drawn[i].Nonce)
			out := l.outputs[drawn[i].Nonce]
			o.Leaves = append(binary.LittleEndian.AppendUint64(o.Leaves, out.Norm),
				out.Digest[:]...)
		}
		proof, err := commit.Multi(&l.tree, l.tree.Size(), nonces)
		if err != nil {
			h.net.t.Fatal(err)
		}
		for _, hash := range proof {
			o.Proof = append(o.Proof, hash[:]...)
		}
		msg.Logs = append(msg.Logs, o)
	}
	if len(msg.Logs) == 0 {
		return nil
	}
	return msg
}
