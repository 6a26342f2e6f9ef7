// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/cosmos/cosmos-sdk/codec"
)

// Dial connects to a node's gRPC server. The connection is plain: the node is the participant's
// own, on the same machine or behind a tunnel of its owner. So a proxy for the web, which the
// environment may name, is not for it.
func Dial(address string, encoding Encoding) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(address, grpc.WithNoProxy(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodec(codec.NewProtoCodec(encoding.Registry).GRPCCodec()),
			grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, fmt.Errorf("client: node at %s: %w", address, err)
	}
	return conn, nil
}

// DialNode is Dial for those who need the encoding for nothing else.
func DialNode(address string) (*grpc.ClientConn, error) {
	encoding, err := NewEncoding()
	if err != nil {
		return nil, err
	}
	return Dial(address, encoding)
}
