// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	cmthttp "github.com/cometbft/cometbft/rpc/client/http"
	cmtclient "github.com/cometbft/cometbft/rpc/jsonrpc/client"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"

	"github.com/assaynet/assay/internal/webproxy"
)

// connect gives the SDK's commands their ways to the node, which the SDK would send through the web
// proxy of the environment even within a private network; see webproxy.
func (s *session) connect(cmd *cobra.Command, c client.Context) (client.Context, error) {
	f := cmd.Flags()
	if f.Lookup(flags.FlagNode) != nil && s.node != "" {
		node, err := dialRPC(s.node)
		if err != nil {
			return c, fmt.Errorf("--%s %s: %w", flags.FlagNode, s.node, err)
		}
		c = c.WithNodeURI(s.node).WithClient(node)
		f.Lookup(flags.FlagNode).Changed = false // or the SDK would dial once more, by itself
	}
	at := f.Lookup(flags.FlagGRPC)
	if at == nil || at.Value.String() == "" {
		return c, nil
	}
	plain, err := f.GetBool(flags.FlagGRPCInsecure)
	if err != nil {
		return c, err
	}
	conn, err := dialGRPC(cmd, at.Value.String(), plain)
	if err != nil {
		return c, fmt.Errorf("--%s %s: %w", flags.FlagGRPC, at.Value, err)
	}
	at.Changed = false
	return c.WithGRPCClient(conn), nil
}

// dialRPC returns a client of CometBFT's RPC.
func dialRPC(at string) (*cmthttp.HTTP, error) {
	through, err := cmtclient.DefaultHTTPClient(at)
	if err != nil {
		return nil, err
	}
	if t, ok := through.Transport.(*http.Transport); ok {
		t.Proxy, t.OnProxyConnectResponse = webproxy.For, webproxy.Refused
		if !strings.HasPrefix(at, "unix://") {
			//lint:ignore SA1019 CometBFT sets it, and its own goes to the node whatever is asked for, so to no proxy
			t.Dial = nil
		}
	}
	return cmthttp.NewWithClient(at, "/websocket", through)
}

func dialGRPC(cmd *cobra.Command, at string, plain bool) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(
			credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12}))}
	if plain {
		options[0] = grpc.WithTransportCredentials(insecure.NewCredentials())
	}
	if host, _, err := net.SplitHostPort(at); err == nil && webproxy.Private(cmd.Context(), host) {
		options = append(options, grpc.WithNoProxy())
	}
	return grpc.NewClient(at, options...)
}

// hostPort is the host:port of a node's address.
func hostPort(node string) string {
	if u, err := url.Parse(node); err == nil && u.Host != "" {
		return u.Host
	}
	return node
}
