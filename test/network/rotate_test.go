// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"

	"github.com/assaynet/assay/adversary"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/localnet"
)

// validators are the consensus keys in the set of the latest block.
func (n *net) validators() map[string]bool {
	n.t.Helper()
	conn, err := n.Conn(0)
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := cmtservice.NewServiceClient(conn).GetLatestValidatorSet(n.ctx,
		&cmtservice.GetLatestValidatorSetRequest{})
	if err != nil {
		n.t.Fatal(err)
	}
	set := map[string]bool{}
	for _, v := range res.Validators {
		set[string(v.PubKey.Value[len(v.PubKey.Value)-32:])] = true
	}
	return set
}

func (n *net) participant(i int) registryv1.Participant {
	n.t.Helper()
	conn, err := n.Conn(0)
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := registryv1.NewQueryClient(conn).Participant(context.Background(),
		&registryv1.QueryParticipantRequest{Address: n.Members[i].Address})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Participant
}

// One of two validators rotates its keys on a running network. Without its signatures there is no
// block, so each of them shows that its node signs with the right key at each height, and each
// epoch that both are credited. The old key leaves the set and the new one is in it. Then its node
// is killed, and the network goes on when it is back: it finds the key that is in force.
func TestKeysRotateWithoutAMissedEpoch(t *testing.T) {
	long(t)
	n := start(t, localnet.Options{Cheat: adversary.None, Participants: 2})
	n.until(0, "epoch 1 in compute", func(now *sprintv1.QueryCurrentResponse) bool {
		return now.Epoch.Number > 1 || now.Epoch.Phase >= sprintv1.PhaseCompute
	})
	before := n.participant(1)
	rotate := func() (code int, out, errs string) {
		return n.said("host", "rotate-keys", "--home", n.Members[1].Home)
	}
	code, out, errs := rotate()
	if code != 0 || !strings.Contains(out, "take over when epoch") {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	if code, again, errs := rotate(); code != 0 || again != out {
		t.Errorf("the same command again: exit %d, %s%s", code, again, errs)
	}
	from := uint64(0)
	if err := localnet.Until(n.ctx, "the rotation on the other node", func() (bool, error) {
		if r := n.participant(1).Rotation; r != nil {
			from = r.Epoch
		}
		return from > 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	for epoch := uint64(1); epoch <= from; epoch++ {
		for i := range 2 {
			n.credited(epoch, i)
		}
	}
	after := n.participant(1)
	if after.RotatedEpoch != from || string(after.ConsensusKey) == string(before.ConsensusKey) ||
		string(after.VrfKey) == string(before.VrfKey) {
		t.Errorf("the record after epoch %d: %v", from, after)
	}
	if err := localnet.Until(n.ctx, "the new key in the set", func() (bool, error) {
		set := n.validators()
		return len(set) == 2 && set[string(after.ConsensusKey)] &&
			!set[string(before.ConsensusKey)], nil
	}); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := rotate(); code == 0 || !strings.Contains(errs, "can follow from epoch") {
		t.Errorf("another rotation at once: exit %d, %s%s", code, out, errs)
	}
	n.kill(1, localnet.Node)
	n.restart(1, localnet.Node)
	n.credited(n.until(0, "a block after the restart",
		func(*sprintv1.QueryCurrentResponse) bool { return true }).Epoch.Number+1, 1)
}
