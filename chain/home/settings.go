// SPDX-License-Identifier: Apache-2.0

package home

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	cmtcrypto "github.com/cometbft/cometbft/crypto"
	"github.com/spf13/viper"

	"github.com/cosmos/cosmos-sdk/client/flags"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/plain"
)

// Settings are what a new folder's configuration files say beyond the defaults.
// An address of "host:0" is not possible: others have to know the port.
type Settings struct {
	// Addresses to listen at, host:port. P2P is meant for the world, the others for
	// the machine itself. Empty: the usual ports, 26656, 26657, 9090 and 1317.
	P2P, RPC, GRPC, API string
	// External is where peers find this node, if that is another address.
	External string
	// Peers to keep a connection to, id@host:port.
	Peers []string
	// MinGasPrice is the least price per gas that this node's mempool takes, in acpc.
	MinGasPrice string
	// BlockTime is the pause after a block; DefaultBlockTime when 0.
	BlockTime time.Duration
	// Local is for several nodes on one machine: peers may share an address.
	Local bool
}

// DefaultBlockTime is the pause after a block of a real network.
const DefaultBlockTime = 4 * time.Second

// DefaultMinGasPrice is 10^9 acpc per gas: 0.0002 CPC for a plain transfer.
const DefaultMinGasPrice = "1000000000" + app.Denom

// How much of the past a node keeps: states, and blocks (eight days of five seconds).
const (
	keepStates = "1000"
	keepBlocks = 150_000
)

// Assay is our own section of app.toml.
type Assay struct {
	Participant string `mapstructure:"participant"`
}

// appSettings is app.toml.
type appSettings struct {
	serverconfig.Config `mapstructure:",squash"`

	Assay Assay `mapstructure:"assay"`
}

const assaySection = `
###############################################################################
###                           Assay                                         ###
###############################################################################

[assay]

# The account for which this node proves its keys and signs heartbeats when its
# gRPC server is asked to. For any other account it refuses.
participant = "{{ .Assay.Participant }}"
`

// write makes config.toml and app.toml where they do not exist.
func (s Settings) write(dir, moniker, participant string) error {
	comet := s.comet()
	comet.Moniker = moniker
	comet.SetRoot(dir)
	if err := comet.ValidateBasic(); err != nil {
		return fmt.Errorf("%w: config.toml: %w", ErrHome, err)
	}
	path := filepath.Join(dir, cometConfig)
	if absent, err := isAbsent(path); err != nil {
		return err
	} else if absent {
		if err := writeComet(path, comet); err != nil {
			return err
		}
	}
	path = filepath.Join(dir, appConfig)
	absent, err := isAbsent(path)
	if err != nil || !absent {
		return err
	}
	form, err := template.New("app.toml").Parse(serverconfig.DefaultConfigTemplate + assaySection)
	if err != nil {
		return fmt.Errorf("home: app.toml: %w", err)
	}
	var text bytes.Buffer
	if err := form.Execute(&text,
		appSettings{Config: s.app(), Assay: Assay{Participant: participant}}); err != nil {
		return fmt.Errorf("home: app.toml: %w", err)
	}
	if err := durable.WriteFile(path, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("home: %w", err)
	}
	return nil
}

func (s Settings) comet() *cmtcfg.Config {
	c := cmtcfg.DefaultConfig()
	if s.P2P != "" {
		c.P2P.ListenAddress = "tcp://" + s.P2P
	}
	if s.RPC != "" {
		c.RPC.ListenAddress = "tcp://" + s.RPC
	}
	c.P2P.ExternalAddress = s.External
	c.P2P.PersistentPeers = strings.Join(s.Peers, ",")
	c.P2P.AllowDuplicateIP = s.Local
	c.P2P.AddrBookStrict = !s.Local
	c.Consensus.TimeoutCommit = DefaultBlockTime
	if s.BlockTime > 0 {
		c.Consensus.TimeoutCommit = s.BlockTime
	}
	if s.Local { // a dead proposer costs a second, not three: there is no distance to bridge
		c.Consensus.TimeoutPropose = time.Second
	}
	c.Mempool.Size, c.Mempool.MaxTxsBytes, c.Mempool.CacheSize = app.CometPoolSize,
		app.CometPoolBytes, 2*app.CometPoolSize
	// A transaction may open a whole block's share of openings.
	c.Mempool.MaxTxBytes = 2 << 20
	c.RPC.MaxBodyBytes = 4 << 20
	return c
}

func (s Settings) app() serverconfig.Config {
	c := serverconfig.DefaultConfig()
	c.MinGasPrices = s.MinGasPrice
	if c.MinGasPrices == "" {
		c.MinGasPrices = DefaultMinGasPrice
	}
	c.API.Enable = true
	c.API.RPCMaxBodyBytes = 4 << 20
	if s.API != "" {
		c.API.Address = "tcp://" + s.API
	}
	if s.GRPC != "" {
		c.GRPC.Address = s.GRPC
	}
	// While a block is committed a query may see the state before the header; that
	// is not worth an error to a host that asks all the time.
	c.GRPC.SkipCheckHeader = true
	c.Mempool.MaxTxs = 0
	c.QueryGasLimit = 50_000_000
	// Snapshots let new nodes start without the whole history; a node keeps that of the states that
	// questions are about, and blocks for longer than evidence is taken.
	c.StateSync.SnapshotInterval = 1_000
	c.Pruning, c.PruningKeepRecent, c.PruningInterval = "custom", keepStates, "10"
	c.MinRetainBlocks = keepBlocks
	return *c
}

// Config is what the files of a folder say.
type Config struct {
	Dir   string
	Comet *cmtcfg.Config
	App   serverconfig.Config
	// Options is all of it by key, as the SDK asks for it.
	Options *viper.Viper
}

// Load reads the configuration files of a folder. A variable ASSAY_<KEY> in the
// environment goes before them, with _ for every dot and dash of the key. Errors
// wrap ErrHome when the folder is not set up.
func Load(dir string) (Config, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Config{}, fmt.Errorf("home: %w", err)
	}
	v := viper.New()
	v.SetEnvPrefix(app.Name)
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_", "-", "_"))
	v.AutomaticEnv()
	v.SetConfigType("toml")
	known := map[string]map[string]bool{cometConfig: keysOf(cmtcfg.Config{}),
		appConfig: keysOf(appSettings{}, unlisted...)}
	for i, name := range []string{cometConfig, appConfig} {
		text, err := plain.Read(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return Config{}, fmt.Errorf("%w: %s has no %s; make it with `assay init "+
				"participant`, or with `assay init join` for a node that only follows",
				ErrHome, dir, name)
		} else if err != nil {
			return Config{}, fmt.Errorf("%w: %w", ErrHome, err)
		}
		read := v.ReadConfig
		if i > 0 {
			read = v.MergeConfig
		}
		if err := read(bytes.NewReader(text)); err != nil {
			return Config{}, fmt.Errorf("%w: %s: %w", ErrHome, name, err)
		}
		if err := onlyKnown(filepath.Join(dir, name), text, known[name]); err != nil {
			return Config{}, err
		}
	}
	v.Set(flags.FlagHome, dir)
	c := Config{Dir: dir, Comet: cmtcfg.DefaultConfig(), Options: v}
	if err := v.Unmarshal(c.Comet); err != nil {
		return Config{}, fmt.Errorf("%w: config.toml: %w", ErrHome, err)
	}
	c.Comet.SetRoot(dir)
	if err := c.Comet.ValidateBasic(); err != nil {
		return Config{}, fmt.Errorf("%w: config.toml: %w", ErrHome, err)
	}
	if c.App, err = serverconfig.GetConfig(v); err != nil {
		return Config{}, fmt.Errorf("%w: app.toml: %w", ErrHome, err)
	}
	if err := c.App.ValidateBasic(); err != nil {
		return Config{}, fmt.Errorf("%w: app.toml: %w", ErrHome, err)
	}
	return c, nil
}

// Join puts a network's genesis into a folder and tells its node of peers, which replace those it
// knew. A folder without settings gets them: that makes a node that only follows. Errors wrap
// ErrHome where the folder belongs to a network with another genesis, which is never replaced, or a
// peer is none; nothing is written then.
func Join(dir string, genesis []byte, peers []string, settings Settings, moniker string) error {
	if was, err := os.ReadFile(filepath.Join(dir, Genesis)); err == nil &&
		!bytes.Equal(was, genesis) {
		return fmt.Errorf("%w: %s has another genesis already, and a node may have run on it: "+
			"choose another --home, or move config/genesis.json and data/ of this one away",
			ErrHome, dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("home: %w", err)
	}
	for _, peer := range peers {
		if err := validPeer(peer); err != nil {
			return err
		}
	}
	for _, sub := range []string{"config", "data"} {
		if err := durable.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return fmt.Errorf("home: %w", err)
		}
	}
	if err := settings.write(dir, moniker, ""); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(dir, Genesis), genesis, 0o644); err != nil {
		return fmt.Errorf("home: %w", err)
	}
	if len(peers) == 0 {
		return nil
	}
	c, err := Load(dir)
	if err != nil {
		return err
	}
	c.Comet.P2P.PersistentPeers = strings.Join(peers, ",")
	return writeComet(filepath.Join(dir, cometConfig), c.Comet)
}

// validPeer checks the form id@host:port; whether somebody is there shows when the node dials it.
func validPeer(peer string) error {
	id, at, found := strings.Cut(peer, "@")
	raw, err := hex.DecodeString(id)
	host, port, err2 := net.SplitHostPort(at)
	n, err3 := strconv.ParseUint(port, 10, 16)
	if !found || err != nil || len(raw) != cmtcrypto.AddressSize || err2 != nil || host == "" ||
		err3 != nil || n == 0 {
		return fmt.Errorf("%w: peer %q: want id@host:port, the id of 40 hex digits, as the "+
			"peer's participant.json has it", ErrHome, peer)
	}
	return nil
}

// writeComet writes config.toml. CometBFT renders it only into a file, which it does not replace at
// once, and ends the process where it cannot; so that file is a passing one.
func writeComet(path string, c *cmtcfg.Config) error {
	dir, err := os.MkdirTemp("", "assay-config-")
	if err != nil {
		return fmt.Errorf("home: config.toml: %w", err)
	}
	defer os.RemoveAll(dir)
	rendered := filepath.Join(dir, filepath.Base(path))
	cmtcfg.WriteConfigFile(rendered, quotable(c))
	text, err := os.ReadFile(rendered)
	if err != nil {
		return fmt.Errorf("home: config.toml: %w", err)
	}
	if err := durable.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("home: %w", err)
	}
	return nil
}

func isAbsent(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("home: %w", err)
	}
	return false, nil
}

func trimScheme(address string) string {
	_, at, found := strings.Cut(address, "://")
	if !found {
		return address
	}
	return at
}
