// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cosmossdk.io/log/v2"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/p2p/pex"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/keyfile"
	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/internal/kept"
)

// Each kind of file that a node keeps has a bound and a pruner, and is damaged by a test or has a
// reason why not.
func TestKept(t *testing.T) {
	if faults := kept.Faults(Kept()); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
	flips.Held(t, "../..", Kept())
	if unlisted, err := kept.Unlisted(used(t),
		append(Kept(), kept.Thing{Where: "keyring/*/*"})); err != nil || len(unlisted) > 0 {
		t.Errorf("not in the table: %q, %v", unlisted, err)
	}
}

// used is a validator's home with all files of Assay's and CometBFT's that are no databases.
func used(t *testing.T) string {
	t.Helper()
	dir := participant(t)
	public, err := home.ReadParticipant(filepath.Join(dir, home.Public))
	if err != nil {
		t.Fatal(err)
	}
	g, err := genesis.Build(genesis.Options{Chain: "c", Preset: genesis.Presets()["localnet"],
		Participants: []home.Participant{public}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := genesis.Encode(g)
	if err == nil {
		err = home.Join(dir, text, nil, home.Settings{}, "m")
	}
	if err != nil {
		t.Fatal(err)
	}
	later := app.Later(dir, 1)
	if err := home.Rotation(later); err != nil {
		t.Fatal(err)
	}
	config, err := home.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	signs := privval.LoadFilePV(config.Comet.PrivValidatorKeyFile(),
		config.Comet.PrivValidatorStateFile())
	vote := cmtproto.Vote{Type: cmtproto.PrecommitType, Height: 1234, Round: 1,
		BlockID: cmtproto.BlockID{Hash: bytes.Repeat([]byte{7}, 32),
			PartSetHeader: cmtproto.PartSetHeader{Total: 1, Hash: bytes.Repeat([]byte{8}, 32)}}}
	for _, key := range []*privval.FilePV{signs, privval.LoadFilePV(later.Key, later.State)} {
		if err := key.SignVote("c", &vote); err != nil {
			t.Fatal(err)
		}
	}
	book := pex.NewAddrBook(config.Comet.P2P.AddrBookFile(), true)
	book.SetLogger(cmtlog.NewNopLogger())
	for i := range 5 {
		at, err := p2p.NewNetAddressString(
			fmt.Sprintf("0123456789abcdef0123456789abcdef0123456%d@8.8.%d.8:26656", i, i))
		if err == nil {
			err = book.AddAddress(at, at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	book.MarkGood("0123456789abcdef0123456789abcdef01234561")
	book.Save()
	return dir
}

// started is what a node that starts takes from its files.
type started struct {
	Chain, Genesis string
	Signs, Feeds   []byte
	Next           string // keys of the next generation, and what it signed
	Node           string
	Height         int64
	Round, Step    int
	Settings       string
}

func start(dir string, logger log.Logger) (s started, err error) {
	config, doc, err := load(dir)
	if err != nil {
		return s, err
	}
	if err := identity(config); err != nil {
		return s, err
	}
	warnPublic(dir, logger)
	if err := checkPeers(config.Comet.P2P.AddrBookFile(), logger); err != nil {
		return s, err
	}
	book := pex.NewAddrBook(config.Comet.P2P.AddrBookFile(), true)
	book.SetLogger(cmtlog.NewNopLogger())
	if err := book.Start(); err != nil { // panics over what is damaged
		return s, err
	}
	_ = book.GetSelection()
	_ = book.PickAddress(50)
	if err := book.Stop(); err != nil {
		return s, err
	}
	book.(interface{ Wait() }).Wait() // it writes the file once more
	feeds, err := keyfile.Load(filepath.Join(dir, app.VRFKeyFile))
	if err != nil {
		return s, err
	}
	node, err := p2p.LoadNodeKey(config.Comet.NodeKeyFile())
	if err != nil {
		return s, err
	}
	signs := privval.LoadFilePV(config.Comet.PrivValidatorKeyFile(),
		config.Comet.PrivValidatorStateFile())
	last, later := signs.LastSignState, app.Later(dir, 1)
	next, err := app.LoadConsensusKey(later.Key)
	if err != nil {
		return s, err
	}
	feedsNext, err := keyfile.Load(later.VRF)
	if err != nil {
		return s, err
	}
	then := privval.LoadFilePV(later.Key, later.State).LastSignState
	return started{
		Next:  fmt.Sprintf("%x %x %d %d %d", next, feedsNext, then.Height, then.Round, then.Step),
		Chain: doc.ChainID, Genesis: fmt.Sprintf("%x", doc.AppHash) + string(doc.AppState),
		Signs: signs.Key.PrivKey.Bytes(), Feeds: feeds, Node: string(node.ID()),
		Height: last.Height, Round: int(last.Round), Step: int(last.Step),
		Settings: strings.ReplaceAll(fmt.Sprint(config.Comet.BaseConfig, config.App), dir, ""),
	}, nil
}

// Whatever bit of a node's files has flipped, and wherever one ends early: the node starts as it
// was, or names the file and the next step. Above all it never takes a key that is none, nor a
// record of what it signed that says less. A digit of the settings, or of a genesis on which no
// node has begun, that is another is what its owner might have written there: no program can see
// it.
func TestFlipsInANode(t *testing.T) {
	whole := used(t)
	want, err := start(whole, log.NewNopLogger())
	if err != nil || want.Height != 1234 || want.Step != 3 {
		t.Fatalf("%+v, %v", want, err)
	}
	public, err := home.ReadParticipant(filepath.Join(whole, home.Public))
	if err != nil {
		t.Fatal(err)
	}
	skip := func(path string) bool { return strings.HasPrefix(path, "keyring/") }
	flips.Each(t, whole, 2000, 200, skip, func(dir string, d flips.Damage) (flips.Outcome, error) {
		var said bytes.Buffer
		got, err := start(dir, log.NewLogger(&said))
		named := strings.Contains(said.String(), filepath.Base(d.Path))
		switch {
		case err != nil && strings.HasSuffix(d.Path, ".toml"):
			// it may name another file, which it is told to read
			return flips.Refused, nil
		case err != nil && !d.Explains(err, "ut it back", "ut the network's", "ut back",
			"give it", "choose another"):
			return flips.Refused, err
		case err != nil:
			return flips.Refused, nil
		case strings.HasSuffix(d.Path, ".toml"):
			got.Settings = want.Settings
		case d.Path == home.Genesis:
			got.Genesis, got.Chain = want.Genesis, want.Chain
		case d.Path == home.Public && !named:
			p, err := home.ReadParticipant(filepath.Join(dir, home.Public))
			if err != nil {
				return flips.Unchanged, fmt.Errorf("it was not named: %w", err)
			}
			p.Moniker, p.Peer, p.Hot = public.Moniker, public.Peer, public.Hot // not proven
			if diff := cmp.Diff(public, p); diff != "" {
				return flips.Unchanged, fmt.Errorf("taken silently:\n%s", diff)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return flips.Unchanged, fmt.Errorf("taken silently:\n%s", diff)
		}
		if named {
			return flips.Mended, nil
		}
		return flips.Unchanged, nil
	}).Covers(t, "chain/node", Kept())
}

// A record of what was signed says what the signature in it says, and is refused where a digit of
// it is another, whichever it is.
func TestARecordOfSignaturesIsHeldAgainstItsSignature(t *testing.T) {
	dir := used(t)
	path := filepath.Join(dir, "data", "priv_validator_state.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := app.LoadConsensusKey(filepath.Join(dir, "config", "priv_validator_key.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := lastSigned(path, key); err != nil {
		t.Fatal(err)
	}
	if err := lastSigned(path, ed25519.NewKeyFromSeed(make([]byte, 32))); err == nil {
		t.Error("another key's record is taken")
	}
	for from, to := range map[string]string{`"height": "1234"`: `"height": "1034"`,
		`"round": 1`: `"round": 0`, `"step": 3`: `"step": 2`, `"signature"`: `"signatura"`,
		`"signbytes"`: `"signbytez"`, `"height"`: `"Height"`} {
		bad := bytes.Replace(text, []byte(from), []byte(to), 1)
		if bytes.Equal(bad, text) {
			t.Fatalf("no %s in %s", from, text)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := home.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := identity(config); !errors.Is(err, ErrIdentity) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", to, err)
		}
	}
}
