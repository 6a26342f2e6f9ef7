// SPDX-License-Identifier: Apache-2.0

package court

import (
	"context"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	courtv1 "github.com/assaynet/assay/api/court/v1"
)

type msgServer struct{ *Keeper }

// UpdateParams changes the parameters from the next epoch on; only governance may.
func (s msgServer) UpdateParams(ctx context.Context,
	m *courtv1.MsgUpdateParams) (*courtv1.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, sdkerrors.ErrUnauthorized.Wrapf("only governance (%s) changes parameters",
			s.authority)
	}
	if err := ValidateParams(m.Params); err != nil {
		return nil, ErrInvalid.Wrap(err.Error())
	}
	return &courtv1.MsgUpdateParamsResponse{}, s.pending.Set(ctx, m.Params)
}
