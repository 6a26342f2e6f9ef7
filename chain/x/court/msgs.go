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

// ReleaseHeld gives back what is held for offences of an epoch; only governance may.
func (s msgServer) ReleaseHeld(ctx context.Context,
	m *courtv1.MsgReleaseHeld) (*courtv1.MsgReleaseHeldResponse, error) {
	if m.Authority != s.authority {
		return nil, sdkerrors.ErrUnauthorized.Wrapf("only governance (%s) releases what is held",
			s.authority)
	}
	n, err := s.Release(ctx, m.Epoch, m.Participant)
	return &courtv1.MsgReleaseHeldResponse{Released: n}, err
}
