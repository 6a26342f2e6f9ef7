// SPDX-License-Identifier: Apache-2.0

package credit

import (
	"context"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	creditv1 "github.com/assaynet/assay/api/credit/v1"
)

type msgServer struct{ *Keeper }

// UpdateParams changes rails and terms of pay within their bounds from the next epoch on; only
// governance may.
func (s msgServer) UpdateParams(ctx context.Context,
	m *creditv1.MsgUpdateParams) (*creditv1.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, sdkerrors.ErrUnauthorized.Wrapf("only governance (%s) changes parameters",
			s.authority)
	}
	if err := ValidateParams(m.Params); err != nil {
		return nil, sdkerrors.ErrInvalidRequest.Wrap(err.Error())
	}
	return &creditv1.MsgUpdateParamsResponse{}, s.pending.Set(ctx, m.Params)
}
