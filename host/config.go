// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/plain"
	"github.com/assaynet/assay/poc/coin"
	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/mpoc"
)

// Config is host.toml. Every key is required unless it says otherwise; unknown keys are refused.
type Config struct {
	// Chain is the chain id.
	Chain string `toml:"chain"`
	// Participant is the account on whose behalf the host acts, cpc1...
	Participant string `toml:"participant"`
	// GRPC is the address of a node's gRPC server; the participant's own node, which signs
	// heartbeats.
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
	// Pool is what strangers' machines are offered. Without it there is none.
	Pool *Pool `toml:"pool,omitempty"`
	// Workers are the machines that may connect: node id = device key in hex (`assay-worker id`
	// prints it).
	Workers map[string]string `toml:"workers"`
}

// Pool is the section [pool]: challenges for machines between sprints, for pay.
type Pool struct {
	// Enabled offers challenges to whoever connects; `assay host --pool` does so for one run.
	Enabled bool `toml:"enabled"`
	// PayPerTebiop is what 2^40 verified operations earn, in acpc; the file may say it in cpc, such
	// as "0.5cpc".
	PayPerTebiop string `toml:"pay_per_tebiop"`
	// PayKey names the key in the keyring whose account pays. Empty: pay is owed, and nothing is
	// transferred.
	PayKey string `toml:"pay_key"`
	// GasPrice is what a transfer pays for gas, in acpc.
	GasPrice uint64 `toml:"gas_price"`
	// Least is the smallest transfer, in acpc, or as above; smaller sums wait until they have
	// grown.
	Least string `toml:"least"`
	// UnlockAfter is how many clean submissions make earlier pay due; until then a proven cheat
	// forfeits it.
	UnlockAfter uint64 `toml:"unlock_after"`
	// BanAfter is how many proven cheats ban a machine.
	BanAfter int `toml:"ban_after"`
	// MaxNodes is how many registered machines may also be nodes in the Sprint; 0: none. The chain
	// has a limit of its own.
	MaxNodes int `toml:"max_nodes"`
	// DurationMS replaces the planned time of every challenge, for local networks; 0 does not.
	DurationMS uint64 `toml:"duration_ms,omitempty"`
}

// DefaultPool is what `assay host --pool` offers where host.toml says nothing: a coin for 2^60
// operations.
func DefaultPool() Pool {
	return Pool{PayPerTebiop: "953674316406", GasPrice: 1_000_000_000, Least: "100000000000000000",
		UnlockAfter: 20, BanAfter: 3, MaxNodes: 32}
}

// ConfigFile, KeyFile and the folders a host uses, below its home.
const (
	configName  = "config/host.toml"
	dataName    = "data"
	leavesName  = "data/leaves"
	verdictName = "data/verdicts"
	// of verdicts about streams
	streamVerdictName = "data/stream-verdicts"
	ledgerName        = "data/ledger.db"
	poolName          = "data/pool.db"
	// EvidenceName is the folder of evidence files below a host's home.
	EvidenceName = "evidence"
)

// ConfigPath is where a home's configuration lies.
func ConfigPath(home string) string { return filepath.Join(home, configName) }

// Load reads and checks host.toml below home.
func Load(home string) (Config, error) {
	path := ConfigPath(home)
	raw, err := plain.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{},
			fmt.Errorf("host: no %s: create it with `assay init participant --home %s`", path, home)
	} else if err != nil {
		return Config{}, fmt.Errorf("host: %w", err)
	}
	var c Config
	var section struct {
		Pool map[string]any `toml:"pool"`
	}
	if toml.Unmarshal(raw, &section) == nil && section.Pool != nil {
		p := DefaultPool() // what the section leaves out
		c.Pool = &p
	}
	d := toml.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return c, fmt.Errorf("host: %s has keys that do not exist: %s; `assay init "+
				"participant` writes the file with every key there is", path, strangeKeys(strict))
		}
		return c, fmt.Errorf("host: %s: %w", path, err)
	}
	if c.Pool != nil {
		if err := c.Pool.inBaseUnits(); err != nil {
			return c, fmt.Errorf("host: %s: section [pool]: %w", path, err)
		}
	}
	if err := c.Valid(); err != nil {
		return c, fmt.Errorf("host: %s: %w", path, err)
	}
	return c, nil
}

// errAsItWas reports a file that is as it was when it was read last.
var errAsItWas = errors.New("host: the file is as it was")

// workersOf reads the owner's machines of a home again and again. A file that is as it was is not
// read, and is errAsItWas: strangers connect for nothing. The result is for one goroutine at a
// time.
func workersOf(home string) func() (map[string]string, error) {
	var was fs.FileInfo
	return func() (map[string]string, error) {
		is, err := os.Stat(ConfigPath(home))
		if err != nil {
			return nil, err
		}
		if was != nil && os.SameFile(was, is) && was.Size() == is.Size() &&
			was.ModTime().Equal(is.ModTime()) {
			return nil, errAsItWas
		}
		c, err := Load(home)
		if err != nil {
			return nil, err
		}
		was = is
		return c.Workers, nil
	}
}

// strangeKeys lists the keys of an error, each with its line.
func strangeKeys(strict *toml.StrictMissingError) string {
	var list []string
	for _, e := range strict.Errors {
		line, _ := e.Position()
		list = append(list, fmt.Sprintf("%s (line %d)", strings.Join(e.Key(), "."), line))
	}
	return strings.Join(list, ", ")
}

// inBaseUnits replaces amounts as people write them by their number of acpc, which the rest of the
// host takes.
func (p *Pool) inBaseUnits() error {
	for _, f := range []struct {
		key   string
		value *string
	}{{"pay_per_tebiop", &p.PayPerTebiop}, {"least", &p.Least}} {
		if strings.Trim(*f.value, "0123456789") == "" {
			continue
		}
		n, err := coin.Parse(*f.value)
		if err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
		*f.value = n.String()
	}
	return nil
}

// amount writes a number of acpc for people.
func amount(acpc string) string {
	n, ok := new(big.Int).SetString(acpc, 10)
	if !ok {
		return strconv.Quote(acpc)
	}
	return strconv.Quote(coin.Short(n))
}

// Save writes host.toml below home with every key documented.
func (c Config) Save(home string) error {
	if err := c.Valid(); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Configuration of `assay host`. Unknown keys are refused.\n\n")
	line := func(comment, key, value string) {
		fmt.Fprintf(&b, "# %s\n%s = %q\n\n", comment, key, value)
	}
	line("The chain's id.", "chain", c.Chain)
	line("The account on whose behalf this host acts.", "participant", c.Participant)
	line("gRPC address of the participant's own node.", "grpc", c.GRPC)
	line("Name of the hot key in the keyring; it holds only grants for protocol messages.",
		"key", c.Key)
	line("Where the accounts of this home are kept: file, os, or test (unprotected, for "+
		"localnet). All commands go by it.", "keyring_backend", c.KeyringBackend)
	line("Where workers connect; port 0 takes a free one.", "listen", c.Listen)
	line("Host and port that workers dial, where that is not the address of this machine and the "+
		"port above: behind a router, or a name.", "advertise", c.Advertise)
	line("Where the status document is served (this machine only); empty: nowhere.",
		"status", c.Status)
	p := DefaultPool()
	if c.Pool != nil {
		p = *c.Pool
	}
	b.WriteString("# Challenges for the machines of strangers, between sprints and for pay " +
		"(`assay host --pool` too turns them on).\n[pool]\n")
	value := func(comment, key string, v any) {
		fmt.Fprintf(&b, "# %s\n%s = %v\n", comment, key, v)
	}
	value("Offer them to whoever connects.", "enabled", p.Enabled)
	value("What 2^40 verified operations earn, in cpc or acpc.", "pay_per_tebiop",
		amount(p.PayPerTebiop))
	value("Key in the keyring whose account pays; empty: pay is owed and nothing is transferred.",
		"pay_key", strconv.Quote(p.PayKey))
	value("What transfers pay for gas, in acpc.", "gas_price", p.GasPrice)
	value("The smallest transfer, in cpc or acpc.", "least", amount(p.Least))
	value("Clean submissions after which earlier pay is due; until then a proven cheat "+
		"forfeits it.", "unlock_after", p.UnlockAfter)
	value("Proven cheats that ban a machine.", "ban_after", p.BanAfter)
	value("Registered machines that may also be nodes in the Sprint.", "max_nodes", p.MaxNodes)
	if p.DurationMS > 0 {
		value("Time of every challenge, for local networks.", "duration_ms", p.DurationMS)
	}
	b.WriteString("\n")
	b.WriteString("# Machines that may connect: node id = device key (`assay-worker id` prints " +
		"it; `assay host allow` adds a line).\n[workers]\n")
	for _, id := range sortedIDs(c.Workers) {
		fmt.Fprintf(&b, "%s = %q\n", id, c.Workers[id])
	}
	path := ConfigPath(home)
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(path, []byte(b.String()), 0o600)
}

// Valid checks a configuration on its own.
func (c Config) Valid() error {
	for _, f := range []struct{ key, value string }{
		{"chain", c.Chain}, {"participant", c.Participant}, {"grpc", c.GRPC}, {"key", c.Key},
		{"keyring_backend", c.KeyringBackend}, {"listen", c.Listen},
	} {
		if f.value == "" {
			return fmt.Errorf("%s is empty", f.key)
		}
	}
	if !strings.HasPrefix(c.Participant, "cpc1") {
		return fmt.Errorf("participant %q is no address, which begins with cpc1", c.Participant)
	}
	if p := c.Pool; p != nil {
		if err := p.valid(); err != nil {
			return fmt.Errorf("section [pool]: %w", err)
		}
	}
	seen := map[string]string{}
	for _, id := range sortedIDs(c.Workers) {
		if err := commit.ValidNode(id); err != nil {
			return fmt.Errorf("worker %q: %w", id, err)
		}
		key, err := hex.DecodeString(c.Workers[id])
		if err != nil || len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("worker %s: the device key must be %d bytes in hex, as "+
				"`assay-worker id` prints it", id, ed25519.PublicKeySize)
		}
		if other, ok := seen[string(key)]; ok {
			return fmt.Errorf("workers %s and %s have the same device key", other, id)
		}
		seen[string(key)] = id
	}
	return nil
}

func (p Pool) valid() error {
	for key, text := range map[string]string{"pay_per_tebiop": p.PayPerTebiop, "least": p.Least} {
		if _, err := ledger.ParseAmount(text); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	switch {
	case p.BanAfter < 1:
		return fmt.Errorf("ban_after is %d; the least is 1", p.BanAfter)
	case p.BanAfter > mpoc.MaxBan:
		return fmt.Errorf("ban_after is %d, at most %d", p.BanAfter, mpoc.MaxBan)
	case p.MaxNodes < 0 || p.MaxNodes > sprintv1.MaxNodes:
		return fmt.Errorf("max_nodes is %d, want 0 to %d", p.MaxNodes, sprintv1.MaxNodes)
	case p.UnlockAfter > mpoc.MaxUnlock:
		return fmt.Errorf("unlock_after is %d, at most %d", p.UnlockAfter, mpoc.MaxUnlock)
	}
	return nil
}
