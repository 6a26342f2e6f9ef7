// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
)

// Config is host.toml. Every key is required unless it says otherwise; unknown keys are refused.
type Config struct {
	// Chain is the chain id.
	Chain string `toml:"chain"`
	// Participant is the account on whose behalf the host acts, cpc1...
	Participant string `toml:"participant"`
	// GRPC is the address of a node's gRPC server; the participant's own node, which signs heartbeats.
	GRPC string `toml:"grpc"`
	// Key names the hot key in the keyring.
	Key string `toml:"key"`
	// KeyringBackend is file, os or test; test stores keys unprotected and is for localnet.
	KeyringBackend string `toml:"keyring_backend"`
	// Listen is where workers connect, host:port. Port 0 takes a free one.
	Listen string `toml:"listen"`
	// Advertise is the host name or address that workers dial, if it differs from Listen. Optional.
	Advertise string `toml:"advertise,omitempty"`
	// Status is where the status document is served, on this machine only. Empty: not served.
	Status string `toml:"status"`
	// Workers are the machines that may connect: node id = device key in hex (`assay-worker id` prints it).
	Workers map[string]string `toml:"workers"`
	// Pool is pool mode. Optional as a whole and key by key: what is left out has DefaultPool's value.
	Pool Pool `toml:"pool"`
}

// Pool is the section [pool]: machines of strangers work for this host and are credited for what was verified.
type Pool struct {
	// Enabled turns it on.
	Enabled bool `toml:"enabled"`
	// PayPerTebiop is what 2^40 verified operations earn, in acpc.
	PayPerTebiop ledger.Amount `toml:"pay_per_tebiop"`
	// PayKey names the key in the keyring whose account pays. Empty: nothing is transferred, and the status says so.
	PayKey string `toml:"pay_key"`
	// GasPrice is acpc per gas of a payment, as the node's mempool asks for.
	GasPrice uint64 `toml:"gas_price"`
	// Least is the smallest amount that is transferred to one machine, in acpc.
	Least ledger.Amount `toml:"least"`
	// Unlock is after how many further clean submissions a credit can no longer be forfeited.
	Unlock uint64 `toml:"unlock"`
	// BanAfter is how many proven cheats ban a machine.
	BanAfter int `toml:"ban_after"`
	// Admit lets registered strangers be nodes of this participant in the Sprint too, at most MaxNodes of them.
	Admit    bool `toml:"admit"`
	MaxNodes int  `toml:"max_nodes"`
}

// DefaultPool is pool mode as long as host.toml says nothing about it: 10^12 acpc are a millionth of a coin.
func DefaultPool() Pool {
	return Pool{PayPerTebiop: digits("1000000000000"), Least: digits("10000000000000000"), Unlock: 20, BanAfter: 3, Admit: true, MaxNodes: 32}
}

func digits(s string) ledger.Amount {
	a, err := ledger.ParseAmount(s)
	if err != nil {
		panic(err) // a constant of this file
	}
	return a
}

// ConfigFile, KeyFile and the folders a host uses, below its home.
const (
	configName  = "config/host.toml"
	keyringName = "keyring"
	leavesName  = "data/leaves"
	verdictName = "data/verdicts"
	ledgerName  = "data/ledger.db"
	poolName    = "data/pool.db"
	// EvidenceName is the folder of evidence files below a host's home.
	EvidenceName = "evidence"
	// maxPoolNodes is how many nodes a participant has on chain at most, by its default parameters.
	maxPoolNodes = 64
)

// ConfigPath is where a home's configuration lies.
func ConfigPath(home string) string { return filepath.Join(home, configName) }

// Load reads and checks host.toml below home.
func Load(home string) (Config, error) {
	path := ConfigPath(home)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("host: no %s: create it with `assay init participant --home %s`", path, home)
	} else if err != nil {
		return Config{}, fmt.Errorf("host: %w", err)
	}
	c := Config{Pool: DefaultPool()}
	d := toml.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return c, fmt.Errorf("host: %s has keys that do not exist:\n%s", path, strict.String())
		}
		return c, fmt.Errorf("host: %s: %w", path, err)
	}
	if err := c.Valid(); err != nil {
		return c, fmt.Errorf("host: %s: %w", path, err)
	}
	return c, nil
}

// Save writes host.toml below home with every key documented.
func (c Config) Save(home string) error {
	if err := c.Valid(); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Configuration of `assay host`. Unknown keys are refused.\n\n")
	line := func(comment, key, value string) { fmt.Fprintf(&b, "# %s\n%s = %q\n\n", comment, key, value) }
	line("The chain's id.", "chain", c.Chain)
	line("The account on whose behalf this host acts.", "participant", c.Participant)
	line("gRPC address of the participant's own node.", "grpc", c.GRPC)
	line("Name of the hot key in the keyring; it holds only grants for protocol messages.", "key", c.Key)
	line("Keyring backend: file, os, or test (unprotected, for localnet).", "keyring_backend", c.KeyringBackend)
	line("Where workers connect; port 0 takes a free one.", "listen", c.Listen)
	if c.Advertise != "" {
		line("What workers dial, if it differs from listen.", "advertise", c.Advertise)
	}
	line("Where the status document is served (this machine only); empty: nowhere.", "status", c.Status)
	b.WriteString("# Machines that may connect: node id = device key (`assay-worker id` prints it; `assay host allow` adds a line).\n[workers]\n")
	for _, id := range sortedIDs(c.Workers) {
		fmt.Fprintf(&b, "%s = %q\n", id, c.Workers[id])
	}
	b.WriteString(c.Pool.text())
	path := ConfigPath(home)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// text is the section [pool] with every key documented.
func (p Pool) text() string {
	var b strings.Builder
	b.WriteString("\n# Pool mode: machines of strangers work for this host. `assay host --pool` turns it on for one run.\n[pool]\n")
	line := func(comment, key string, value any) { fmt.Fprintf(&b, "# %s\n%s = %v\n", comment, key, value) }
	quoted := func(v fmt.Stringer) string { return strconv.Quote(v.String()) }
	line("Whether it is on.", "enabled", p.Enabled)
	line("What 2^40 verified operations earn, in acpc.", "pay_per_tebiop", quoted(p.PayPerTebiop))
	line("Name of the key in the keyring whose account pays, and does nothing else; empty: nothing is transferred.", "pay_key", strconv.Quote(p.PayKey))
	line("acpc per gas of a payment, as the node's mempool asks for.", "gas_price", p.GasPrice)
	line("Smallest amount that is transferred to one machine, in acpc; less waits until it has grown.", "least", quoted(p.Least))
	line("After how many further clean submissions a credit can no longer be forfeited.", "unlock", p.Unlock)
	line("How many proven cheats ban a machine.", "ban_after", p.BanAfter)
	line("Whether registered machines may also be this participant's nodes in the Sprint, and how many at most.", "admit", p.Admit)
	fmt.Fprintf(&b, "max_nodes = %d\n", p.MaxNodes)
	return b.String()
}

// valid checks the section, on or off.
func (p Pool) valid() error {
	if err := mpoc.Amount(p.PayPerTebiop.String()).Valid(); err != nil {
		return fmt.Errorf("pool.pay_per_tebiop: %w", err)
	}
	switch {
	case p.BanAfter < 1:
		return fmt.Errorf("pool.ban_after is %d; at least 1 proven cheat bans", p.BanAfter)
	case p.MaxNodes < 0 || p.MaxNodes > maxPoolNodes:
		return fmt.Errorf("pool.max_nodes is %d; choose 0 to %d, the chain bounds a participant's nodes", p.MaxNodes, maxPoolNodes)
	case p.Unlock > 1_000_000:
		return fmt.Errorf("pool.unlock is %d; choose at most 1000000", p.Unlock)
	}
	return nil
}

// Valid checks a configuration on its own.
func (c Config) Valid() error {
	for _, f := range []struct{ key, value string }{
		{"chain", c.Chain}, {"participant", c.Participant}, {"grpc", c.GRPC}, {"key", c.Key}, {"keyring_backend", c.KeyringBackend}, {"listen", c.Listen},
	} {
		if f.value == "" {
			return fmt.Errorf("%s is empty", f.key)
		}
	}
	if !strings.HasPrefix(c.Participant, "cpc1") {
		return fmt.Errorf("participant %q is not an address cpc1...", c.Participant)
	}
	seen := map[string]string{}
	for _, id := range sortedIDs(c.Workers) {
		if err := commit.ValidNode(id); err != nil {
			return fmt.Errorf("worker %q: %w", id, err)
		}
		key, err := hex.DecodeString(c.Workers[id])
		if err != nil || len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("worker %s: the device key must be %d bytes in hex, as `assay-worker id` prints it", id, ed25519.PublicKeySize)
		}
		if other, ok := seen[string(key)]; ok {
			return fmt.Errorf("workers %s and %s have the same device key", other, id)
		}
		seen[string(key)] = id
	}
	if c.Pool.PayKey != "" && c.Pool.PayKey == c.Key {
		return fmt.Errorf("pool.pay_key is %q, the hot key: payments need an account of their own, because what else it signs would delay them", c.Key)
	}
	return c.Pool.valid()
}
