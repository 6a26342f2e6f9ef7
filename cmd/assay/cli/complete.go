// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"maps"
	"slices"

	"github.com/assaynet/assay/accounts"
	"github.com/assaynet/assay/adversary"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/internal/commands"
	"github.com/assaynet/assay/poc/mpoc"
)

func shapes() (names []string) {
	for _, s := range mpoc.Shapes() {
		names = append(names, s.String())
	}
	return names
}

// completions says what the flags of our own commands take.
func completions() map[string]commands.Values {
	levels := commands.One("debug", "info", "warn", "error", "none")
	local := commands.One("127.0.0.1", "0.0.0.0")
	return map[string]commands.Values{
		"home": commands.Folders(), "genesis": commands.Files("json"),
		"participants": commands.Files("json"),
		"from-export":  commands.Files("json"), "output": commands.Files(),
		"cheat":           commands.One(append(adversary.Names(), adversary.None)...),
		"keys":            commands.One("consensus", "vrf", "consensus,vrf"),
		"preset":          commands.One(slices.Sorted(maps.Keys(genesis.Presets()))...),
		"keyring-backend": commands.One(accounts.Backends()...),
		"from":            commands.One(home.Operator, home.Hot),
		"log-level":       levels, "log": levels, "log-format": commands.One("text", "json"),
		"restart": commands.One("yes", "no"),
		"p2p":     local, "rpc": local, "grpc": local, "api": local,
		// what only its user knows
		"chain-id": commands.One(), "moniker": commands.One(), "external": commands.One(),
		"peers": commands.One(), "nodes": commands.One(),
		"time": commands.One(), "faucet": commands.One(), "fees": commands.One(),
		"min-gas-price": commands.One(),
		"trust":         commands.One(), "share": commands.One("1", "2", "5"),
		"target": commands.One("99"),
		// of the commands that check evidence and explain audits
		"node": commands.One("127.0.0.1:9090"), "shape": commands.One(shapes()...),
	}
}
