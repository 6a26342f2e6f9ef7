// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"google.golang.org/grpc"

	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	courtv1 "github.com/assaynet/assay/api/court/v1"
	creditv1 "github.com/assaynet/assay/api/credit/v1"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/app"
)

// outcomes are the results of an epoch by name.
func (n *network) outcomes(epoch uint64) map[string]sprintv1.Outcome {
	n.t.Helper()
	out := map[string]sprintv1.Outcome{}
	for page := (*query.PageRequest)(nil); ; {
		res, err := n.query().Outcomes(context.Background(),
			&sprintv1.QueryOutcomesRequest{Epoch: epoch, Pagination: page})
		if err != nil {
			n.t.Fatal(err)
		}
		for _, o := range res.Outcomes {
			out[n.byAddr[o.Participant].name] = o
		}
		if len(res.Pagination.NextKey) == 0 {
			return out
		}
		page = &query.PageRequest{Key: res.Pagination.NextKey}
	}
}

// members of an epoch by name.
func (n *network) members(epoch uint64) map[string]sprintv1.Member {
	n.t.Helper()
	if n.membersAt == n.height && n.membersOf == epoch && n.roster != nil {
		return n.roster
	}
	n.membersAt, n.membersOf, n.roster = n.height, epoch, map[string]sprintv1.Member{}
	for page := (*query.PageRequest)(nil); ; {
		res, err := n.query().Members(context.Background(),
			&sprintv1.QueryMembersRequest{Epoch: epoch, Pagination: page})
		if err != nil {
			n.t.Fatal(err)
		}
		for _, m := range res.Members {
			n.roster[n.byAddr[m.Participant].name] = m
		}
		if len(res.Pagination.NextKey) == 0 {
			return n.roster
		}
		page = &query.PageRequest{Key: res.Pagination.NextKey}
	}
}

// host returns a host by name.
func (n *network) host(name string) *host {
	n.t.Helper()
	for _, h := range n.hosts {
		if h.name == name {
			return h
		}
	}
	n.t.Fatalf("no host %s", name)
	return nil
}

func (n *network) holding(name string) creditv1.Holding {
	n.t.Helper()
	h, err := n.app.Credit.Holding(n.ctx(), n.host(name).addr)
	if err != nil {
		n.t.Fatal(err)
	}
	return h
}

func (n *network) participant(name string) registryv1.Participant {
	n.t.Helper()
	p, err := n.app.Registry.Get(n.ctx(), n.host(name).addr)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

func (n *network) courtQuery() courtv1.QueryClient {
	return courtv1.NewQueryClient(conn{n.app, n.ctx()})
}

type conn struct {
	app *app.App
	ctx sdk.Context
}

func (c conn) Invoke(_ context.Context, method string, args, reply any,
	_ ...grpc.CallOption) error {
	handler := c.app.GRPCQueryRouter().Route(method)
	if handler == nil {
		return fmt.Errorf("no query %s", method)
	}
	data, err := proto.Marshal(args.(proto.Message))
	if err != nil {
		return err
	}
	res, err := handler(c.ctx, &abci.RequestQuery{Data: data, Path: method})
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(res.Value, reply.(proto.Message)); err != nil {
		return err
	}
	return codectypes.UnpackInterfaces(reply, c.app.Encoding().Registry)
}

func (conn) NewStream(context.Context, *grpc.StreamDesc, string,
	...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, fmt.Errorf("no streams")
}
