// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/cosmos/cosmos-sdk/client/flags"

	"github.com/assaynet/assay/accounts"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/internal/commands"
)

// completions says what the flags of the SDK's commands take.
func completions() map[string]commands.Values {
	return map[string]commands.Values{
		flags.FlagHome: commands.Folders(), flags.FlagKeyringDir: commands.Folders(),
		flags.FlagKeyringBackend: commands.One(accounts.Backends()...),
		flags.FlagOutput:         commands.One(flags.OutputFormatText, flags.OutputFormatJSON),
		flags.FlagBroadcastMode:  commands.One(flags.BroadcastSync, flags.BroadcastAsync),
		flags.FlagSignMode: commands.One(flags.SignModeDirect, flags.SignModeLegacyAminoJSON,
			flags.SignModeDirectAux),
		flags.FlagGas:            commands.One(flags.GasFlagAuto),
		flags.FlagNode:           commands.One(nodes(DefaultHome())...),
		flags.FlagFrom:           commands.One(home.Operator, home.Hot),
		flags.FlagOutputDocument: commands.Files("json"),
	}
}

// nodes are addresses worth offering: the home's own node, and where one listens by default.
func nodes(dir string) []string {
	const usual = "tcp://127.0.0.1:26657"
	if own := nodeOf(dir); own != "" && own != usual {
		return []string{own, usual}
	}
	return []string{usual}
}
