// SPDX-License-Identifier: Apache-2.0

package sprintv1

import (
	"sync"

	sdk "github.com/cosmos/cosmos-sdk/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
)

// DutyKind is one kind of message that a participant may owe the chain. The kinds are the protocol
// lane: such a message is free while the state says that its sender still owes it, and hot keys are
// granted these and no others.
type DutyKind struct {
	// URL names the message type.
	URL string
	// When the duty is owed, and how often, in words.
	When, Often string
	// Bytes bounds the message under every set of parameters. The state usually expects less.
	Bytes uint64

	message func() sdk.Msg
	bearer  func(sdk.Msg) (participant string, ok bool)
}

// FreeAttempts is how often one owed message may be tried for free. The second attempt has to be
// alone in its transaction, so that no other message can make it fail.
const FreeAttempts = 2

// kind builds a row of the table.
func kind[M sdk.Msg](message func() M, bearer func(M) string, when, often string,
	bytes uint64) DutyKind {
	return DutyKind{
		URL: sdk.MsgTypeURL(message()), When: when, Often: often, Bytes: bytes,
		message: func() sdk.Msg { return message() },
		bearer: func(m sdk.Msg) (string, bool) {
			if m, ok := m.(M); ok {
				return bearer(m), true
			}
			return "", false
		},
	}
}

// DutyKinds is the table of all duties, in the order in which an epoch asks for them. It is not to
// be changed. It is built when it is first asked for: message types have their names only once the
// program has started.
var DutyKinds = sync.OnceValue(func() []DutyKind {
	return []DutyKind{
		kind(func() *MsgReady { return new(MsgReady) }, (*MsgReady).GetParticipant,
			"in prepare, once Seed_1 is known", "once an epoch", 512),
		kind(func() *MsgCommit { return new(MsgCommit) }, (*MsgCommit).GetParticipant,
			"from a segment's second block to commit_blocks after its end",
			"once for each node and segment", 512),
		kind(func() *MsgOpen { return new(MsgOpen) }, (*MsgOpen).GetParticipant,
			"in proof, by everyone of whom leaves were drawn", "once an epoch, of the drawn size",
			MaxOpeningBytes),
		kind(func() *MsgCommitVerdict {
			return new(MsgCommitVerdict)
		}, (*MsgCommitVerdict).GetParticipant,
			"in validate, by members to whom something fell", "once an epoch", 512),
		kind(func() *MsgRevealVerdict {
			return new(MsgRevealVerdict)
		}, (*MsgRevealVerdict).GetParticipant,
			"in reveal, by members that committed to a verdict", "once an epoch",
			MaxVerdictBytes+512),
		kind(func() *MsgOpenMiddles {
			return new(MsgOpenMiddles)
		}, (*MsgOpenMiddles).GetParticipant,
			"in check, once the digests of a revealed verdict are drawn", "once an epoch",
			MaxMiddlesBytes),
		kind(func() *MsgDispute { return new(MsgDispute) }, (*MsgDispute).GetParticipant,
			"in check and dispute, by members with weight", "as often as the member's budget of "+
				"claims allows", 1024),
		kind(func() *registryv1.MsgSetNodes {
			return new(registryv1.MsgSetNodes)
		}, (*registryv1.MsgSetNodes).GetAddress,
			"at any time, by registered participants", "once an epoch", NodesBytes(MaxNodes)),
		kind(func() *streamv1.MsgSubmitContinuousPoCCommit {
			return new(streamv1.MsgSubmitContinuousPoCCommit)
		}, (*streamv1.MsgSubmitContinuousPoCCommit).GetCreator,
			"between the compute windows of two epochs, where streams are on",
			"100 times an epoch, and 20 more for each ten-thousandth of the weight", 512),
	}
})

// DutyURLs are the type URLs of all duties: what a hot key is granted.
func DutyURLs() []string {
	var urls []string
	for _, k := range DutyKinds() {
		urls = append(urls, k.URL)
	}
	return urls
}

// DutyMsgs returns an empty message of each kind, for registries of message types.
func DutyMsgs() []sdk.Msg {
	var msgs []sdk.Msg
	for _, k := range DutyKinds() {
		msgs = append(msgs, k.message())
	}
	return msgs
}

// DutyOf returns the kind of a message and the participant whose duty it is; false if the message
// is not a duty.
func DutyOf(msg sdk.Msg) (kind DutyKind, participant string, ok bool) {
	for _, k := range DutyKinds() {
		if participant, ok := k.bearer(msg); ok {
			return k, participant, true
		}
	}
	return DutyKind{}, "", false
}
