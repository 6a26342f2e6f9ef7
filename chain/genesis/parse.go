// SPDX-License-Identifier: Apache-2.0

package genesis

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/assaynet/assay/chain/app"
)

// Parse reads a genesis that somebody gave, and refuses what a node could not start from. Errors
// wrap ErrGenesis and say what the text is instead, where that can be told.
func Parse(text []byte) (*genutiltypes.AppGenesis, error) {
	var shape map[string]json.RawMessage
	if err := json.Unmarshal(text, &shape); err != nil {
		return nil, fmt.Errorf("%w: no JSON object: %w; a genesis is what `assay init genesis` "+
			"writes", ErrGenesis, err)
	}
	if shape["possession"] != nil && shape["consensus_key"] != nil {
		return nil, fmt.Errorf("%w: this is a participant's public file; a genesis is what "+
			"`assay init genesis` makes of those of all participants", ErrGenesis)
	}
	if shape["app_state"] == nil || shape["chain_id"] == nil {
		return nil, fmt.Errorf("%w: no chain_id or no app_state; a genesis is what `assay init "+
			"genesis` writes", ErrGenesis)
	}
	var g genutiltypes.AppGenesis
	if err := json.Unmarshal(text, &g); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	if g.Consensus == nil || g.Consensus.Params == nil {
		return nil, fmt.Errorf("%w: of chain %q: no consensus parameters", ErrGenesis, g.ChainID)
	}
	if err := errors.Join(g.ValidateAndComplete(), g.Consensus.Params.ValidateBasic()); err != nil {
		return nil, fmt.Errorf("%w: of chain %q: %w", ErrGenesis, g.ChainID, err)
	}
	bare, err := app.Bare()
	if err != nil {
		return nil, err
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(g.AppState, &state); err != nil {
		return nil, fmt.Errorf("%w: of chain %q: app_state: %w", ErrGenesis, g.ChainID, err)
	}
	for _, module := range slices.Sorted(maps.Keys(bare.DefaultGenesis())) {
		if state[module] == nil {
			return nil, fmt.Errorf("%w: of chain %q: no state of module %s; it is another "+
				"program's, or of another version", ErrGenesis, g.ChainID, module)
		}
	}
	if err := bare.ValidateGenesis(state); err != nil {
		return nil, fmt.Errorf("%w: of chain %q: %w", ErrGenesis, g.ChainID, err)
	}
	return &g, nil
}
