// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/x/registry"
)

// rotation is a valid message that replaces all keys of a participant by those of a generation.
func rotation(name, generation string) *registryv1.MsgRotateKeys {
	name2 := name + " " + generation
	return registry.ProveRotation(chain, account(name), key(name2+" consensus"),
		key(name2+" vrf"), key(name2+" host"))
}

func (w *world) rotate(t testing.TB, m *registryv1.MsgRotateKeys) {
	t.Helper()
	if _, err := w.msg.RotateKeys(w.ctx, m); err != nil {
		t.Fatal(err)
	}
}

// starts goes on to an epoch, as x/sprint does.
func (w *world) starts(t testing.TB, epoch uint64) {
	t.Helper()
	w.begin(t, epoch)
	if err := w.Rotate(w.ctx, epoch); err != nil {
		t.Fatal(err)
	}
}

func (w *world) record(t testing.TB, name string) registryv1.Participant {
	t.Helper()
	p, err := w.Get(w.ctx, account(name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// owner is whose a consensus key is.
func (w *world) owner(t testing.TB, key []byte) string {
	t.Helper()
	p, found, err := w.ByConsensusAddress(w.ctx, registry.ConsensusAddress(key))
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		return ""
	}
	return p.Address
}

// Keys change when the epoch after the next one begins, all at once; the next rotation can follow
// four epochs later. An old consensus key leads to its owner.
// Holds spec.
func TestARotationActsWithTheEpochAfterTheNext(t *testing.T) {
	w := newWorld(t)
	old := w.register(t, "alice")
	m := rotation("alice", "2")
	res, err := w.msg.RotateKeys(w.ctx, m)
	if err != nil || res.Epoch != epoch+2 {
		t.Fatalf("acts with epoch %v, %v", res, err)
	}
	want := old
	want.Rotation = &registryv1.Rotation{ConsensusKey: m.ConsensusKey, VrfKey: m.VrfKey,
		HostKey: m.HostKey, Epoch: epoch + 2}
	w.starts(t, epoch+1)
	if diff := cmp.Diff(want, w.record(t, "alice")); diff != "" {
		t.Errorf("before its epoch (-want +got):\n%s", diff)
	}
	if w.owner(t, m.ConsensusKey) != old.Address {
		t.Error("nobody is known by the new consensus key")
	}
	if _, err := w.msg.RotateKeys(w.ctx, rotation("alice", "3")); !errors.Is(err,
		registry.ErrRotation) || !strings.Contains(err.Error(), "they change with epoch 9") {
		t.Errorf("a second one while one is open: %v", err)
	}
	w.mark(t, "alice", func(p *registryv1.Participant) { *p = registryv1.Participant{} })
	w.starts(t, epoch+2)
	got := w.record(t, "alice")
	if !bytes.Equal(got.ConsensusKey, m.ConsensusKey) || !bytes.Equal(got.VrfKey, m.VrfKey) ||
		!bytes.Equal(got.HostKey, m.HostKey) || got.Rotation != nil ||
		got.RotatedEpoch != epoch+2 || !bytes.Equal(got.PreviousConsensusKey, old.ConsensusKey) {
		t.Errorf("after its epoch began: %v", got)
	}
	if w.owner(t, old.ConsensusKey) != old.Address {
		t.Error("a double sign by the old key finds nobody")
	}
	for e := epoch + 3; e < epoch+6; e++ {
		w.starts(t, e)
		if _, err := w.msg.RotateKeys(w.ctx, rotation("alice", "3")); !errors.Is(err,
			registry.ErrRotation) || !strings.Contains(err.Error(), "from epoch 13 on") {
			t.Errorf("in epoch %d: %v", e, err)
		}
	}
	w.starts(t, epoch+6)
	only := rotation("alice", "3")
	only.ConsensusKey, only.VrfKey = nil, nil
	only.Possession.Consensus, only.Possession.Vrf = nil, nil
	w.rotate(t, only)
	w.starts(t, epoch+8)
	p := w.record(t, "alice")
	if !bytes.Equal(p.HostKey, only.HostKey) || !bytes.Equal(p.ConsensusKey, m.ConsensusKey) ||
		!bytes.Equal(p.VrfKey, m.VrfKey) {
		t.Errorf("rotating the host key made %v", p)
	}
}

// Holds spec R-15, C-16.
func TestRotateKeysRefuses(t *testing.T) {
	small := append([]byte{1}, make([]byte, 31)...)
	for name, c := range map[string]struct {
		damage func(*registryv1.MsgRotateKeys)
		want   error
		says   string
	}{
		"a stranger": {func(m *registryv1.MsgRotateKeys) { m.Address = account("nobody") },
			registry.ErrUnknown, ""},
		"nothing": {func(m *registryv1.MsgRotateKeys) {
			*m = registryv1.MsgRotateKeys{Address: m.Address}
		}, registry.ErrInvalid, "names no key"},
		"a proof without its key": {func(m *registryv1.MsgRotateKeys) { m.HostKey = nil },
			registry.ErrInvalid, "a proof for a host key"},
		"low-order consensus": {func(m *registryv1.MsgRotateKeys) { m.ConsensusKey = small },
			registry.ErrInvalid, "consensus key"},
		"low-order vrf": {func(m *registryv1.MsgRotateKeys) { m.VrfKey = small },
			registry.ErrInvalid, "vrf key"},
		"long host key": {func(m *registryv1.MsgRotateKeys) {
			m.HostKey = append(bytes.Clone(m.HostKey), 0)
		}, registry.ErrInvalid, "host key"},
		"one key in two roles": {func(m *registryv1.MsgRotateKeys) { m.HostKey = m.VrfKey },
			registry.ErrInvalid, "one key for"},
		"its own key in another role": {func(m *registryv1.MsgRotateKeys) {
			m.HostKey = registration("alice").VrfKey
		}, registry.ErrInvalid, "one key for"},
		"the key that it has": {func(m *registryv1.MsgRotateKeys) {
			m.VrfKey = registration("alice").VrfKey
		}, registry.ErrInvalid, "one key for"},
		"no consensus proof": {func(m *registryv1.MsgRotateKeys) { m.Possession.Consensus = nil },
			registry.ErrPossession, "consensus"},
		"no vrf proof": {func(m *registryv1.MsgRotateKeys) { m.Possession.Vrf = nil },
			registry.ErrPossession, "vrf"},
		"swapped proofs": {func(m *registryv1.MsgRotateKeys) {
			m.Possession.Consensus, m.Possession.Host = m.Possession.Host, m.Possession.Consensus
		}, registry.ErrPossession, ""},
		"proofs of another chain": {func(m *registryv1.MsgRotateKeys) {
			*m = *registry.ProveRotation("elsewhere", m.Address, key("alice 2 consensus"), nil, nil)
		}, registry.ErrPossession, ""},
		"another's keys and proofs": {func(m *registryv1.MsgRotateKeys) {
			*m = *rotation("bob", "2")
			m.Address = account("alice")
		}, registry.ErrPossession, ""},
		"a key in use": {func(m *registryv1.MsgRotateKeys) {
			*m = *registry.ProveRotation(chain, m.Address, nil, key("bob vrf"), nil)
		}, registry.ErrTaken, "in use by"},
		"a device's key": {func(m *registryv1.MsgRotateKeys) {
			*m = *registry.ProveRotation(chain, m.Address, nil, nil, key("bob gpu-0"))
		}, registry.ErrTaken, "in use by"},
		"a key of an open rotation": {func(m *registryv1.MsgRotateKeys) {
			*m = *registry.ProveRotation(chain, m.Address, nil, nil, key("carol 2 host"))
		}, registry.ErrTaken, "in use by"},
		"a consensus key in use": {func(m *registryv1.MsgRotateKeys) {
			*m = *registry.ProveRotation(chain, m.Address, key("bob consensus"), nil, nil)
		}, registry.ErrTaken, "registered as a consensus key by"},
		"a consensus key as a host key": {func(m *registryv1.MsgRotateKeys) {
			*m = *registry.ProveRotation(chain, m.Address, nil, nil, key("bob consensus"))
		}, registry.ErrTaken, "registered as a consensus key by"},
		"left": {func(m *registryv1.MsgRotateKeys) { *m = *rotation("dave", "2") },
			registry.ErrLeft, "stay as they are"},
	} {
		w := newWorld(t)
		for _, name := range []string{"alice", "bob", "carol", "dave"} {
			w.register(t, name)
		}
		w.rotate(t, rotation("carol", "2"))
		w.leave(t, "dave")
		m := rotation("alice", "2")
		c.damage(m)
		branch, _ := w.ctx.CacheContext()
		if _, err := w.msg.RotateKeys(branch, m); !errors.Is(err, c.want) ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.want, c.says)
		}
	}
}

// A consensus key is registered once, ever: not after a rotation, not after its participant is
// gone, not in another role, not after an export. VRF and host keys that nobody has any longer are
// free.
// Holds spec.
func TestAConsensusKeyIsRegisteredOnce(t *testing.T) {
	w := newWorld(t)
	w.evidence(10, 0)
	first := w.register(t, "alice")
	w.rotate(t, rotation("alice", "2"))
	w.starts(t, epoch+1)
	w.starts(t, epoch+2)
	w.register(t, "bob")
	// bob's two consensus keys, one of which never came into force, and alice's current one
	w.rotate(t, rotation("bob", "2"))
	w.leave(t, "bob")
	if w.until(t, "bob", epoch+20) == 0 {
		t.Fatal("bob's record stays")
	}
	gs, err := w.ExportGenesis(w.ctx)
	if err != nil || len(gs.UsedKeys) != 3 {
		t.Fatalf("%d used keys, %v", len(gs.UsedKeys), err)
	}
	used := [][]byte{first.ConsensusKey, key("bob consensus")[32:], key("bob 2 consensus")[32:]}
	owners := []string{"alice", "bob", "bob"}
	for i, k := range used {
		for role, m := range map[string]*registryv1.MsgRotateKeys{
			"consensus": registry.ProveRotation(chain, account("alice"), key([]string{
				"alice consensus", "bob consensus", "bob 2 consensus"}[i]), nil, nil),
			"host": registry.ProveRotation(chain, account("alice"), nil, nil, key([]string{
				"alice consensus", "bob consensus", "bob 2 consensus"}[i])),
		} {
			branch, _ := w.ctx.CacheContext()
			if _, err := w.msg.RotateKeys(branch, m); !errors.Is(err, registry.ErrTaken) ||
				!strings.Contains(err.Error(), "by "+account(owners[i])) {
				t.Errorf("%x again as a %s key: %v", k[:4], role, err)
			}
		}
	}
	// what is gone is nobody's validator
	if got := w.owner(t, key("bob consensus")[32:]); got != "" {
		t.Errorf("the key of a record that is gone is %s's", got)
	}
	// the same account comes back, and needs another consensus key only
	w.fund(t, "bob", cpc(10))
	again := registration("bob")
	if _, err := w.msg.Register(w.ctx, again); !errors.Is(err, registry.ErrTaken) {
		t.Errorf("bob with his old consensus key: %v", err)
	}
	fresh := key("bob 3 consensus")
	again.ConsensusKey = fresh[32:]
	again.Possession = registry.ProvePossession(chain, again.Address, fresh, key("bob vrf"),
		key("bob host"))
	if _, err := w.msg.Register(w.ctx, again); err != nil {
		t.Errorf("bob with a new consensus key: %v", err)
	}
}

// An export carries open rotations and used keys, and an import goes on the same way.
func TestAnExportCarriesRotations(t *testing.T) {
	w := emptyWorld(t)
	gs := genesis()
	for i := range gs.Participants {
		gs.Participants[i].ReviewEpoch = 100
	}
	if err := w.InitGenesis(w.ctx, gs); err != nil {
		t.Fatal(err)
	}
	w.rotate(t, rotation("alice", "2"))
	w.starts(t, epoch+2)
	w.rotate(t, rotation("bob", "2"))
	exported, err := w.ExportGenesis(w.ctx)
	if err != nil || len(exported.UsedKeys) != 1 {
		t.Fatalf("%v, %v", exported.UsedKeys, err)
	}
	next := emptyWorld(t)
	if err := next.InitGenesis(next.ctx, exported); err != nil {
		t.Fatal(err)
	}
	again, err := next.ExportGenesis(next.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exported, again); diff != "" {
		t.Errorf("an import exports something else (-was +is):\n%s", diff)
	}
	for _, c := range []*world{w, next} {
		c.network.epoch = epoch + 2
		c.starts(t, epoch+4)
	}
	for _, name := range []string{"alice", "bob"} {
		if diff := cmp.Diff(w.record(t, name), next.record(t, name)); diff != "" {
			t.Errorf("%s after an import (-was +is):\n%s", name, diff)
		}
	}
	if got := next.record(t, "bob"); got.RotatedEpoch != epoch+4 {
		t.Errorf("an imported rotation did not act: %v", got)
	}
	for want, damage := range map[string]func(*registryv1.GenesisState){
		"a rotation of no key": func(gs *registryv1.GenesisState) {
			gs.Participants[0].Rotation = &registryv1.Rotation{Epoch: 3}
		},
		"previous consensus key of 1 byte": func(gs *registryv1.GenesisState) {
			gs.Participants[0].PreviousConsensusKey = []byte{1}
		},
		"used consensus key 01": func(gs *registryv1.GenesisState) {
			gs.UsedKeys[0].ConsensusAddress = []byte{1}
		},
		"one stands twice": func(gs *registryv1.GenesisState) {
			gs.UsedKeys = append(gs.UsedKeys, gs.UsedKeys[0])
		},
	} {
		damaged := *exported
		damaged.Participants = append([]registryv1.Participant{}, exported.Participants...)
		damaged.UsedKeys = append([]registryv1.UsedKey{}, exported.UsedKeys...)
		damage(&damaged)
		if err := registry.ValidateGenesis("", &damaged); !errors.Is(err, registry.ErrGenesis) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// A record that ends while a rotation is open leaves nothing behind that acts.
func TestARecordEndsWithAnOpenRotation(t *testing.T) {
	w := newWorld(t)
	w.network.keep = 0
	w.register(t, "alice")
	w.rotate(t, rotation("alice", "2"))
	w.leave(t, "alice")
	at := w.until(t, "alice", epoch+5)
	if at == 0 {
		t.Fatal("the record stays")
	}
	w.starts(t, at+3)
}
