// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmttypes "github.com/cometbft/cometbft/types"

	servertypes "github.com/cosmos/cosmos-sdk/server/types"
)

// Export writes the state after the last block as a genesis state. A chain that
// starts from it goes on at the next height: epochs and beacon deadlines are
// heights, so there is no way to restart them at 1. modules limits what is
// written; none means all.
func (app *App) Export(modules []string) (servertypes.ExportedApp, error) {
	ctx := app.last()
	state, err := app.modules.ExportGenesisForModules(ctx, app.encoding.Codec, modules)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("app: export: %w", err)
	}
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("app: export: %w", err)
	}
	seats, err := app.Credit.Seats(ctx)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("app: export: %w", err)
	}
	var validators []cmttypes.GenesisValidator
	for _, s := range seats {
		if s.Told == 0 {
			continue
		}
		key := cmted25519.PubKey(s.ConsensusKey)
		validators = append(validators, cmttypes.GenesisValidator{Address: key.Address(),
			PubKey: key, Power: int64(s.Told), Name: s.Participant})
	}
	return servertypes.ExportedApp{
		AppState:        text,
		Validators:      validators,
		Height:          app.LastBlockHeight() + 1,
		ConsensusParams: app.GetConsensusParams(ctx),
	}, nil
}
