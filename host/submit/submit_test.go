// SPDX-License-Identifier: Apache-2.0

package submit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	nodeservice "github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
)

// node is a scripted node: it checks signatures' sequences like a chain, and can be told to lose,
// refuse or fail what it gets.
type node struct {
	txtypes.UnimplementedServiceServer
	authtypes.UnimplementedQueryServer
	encoding client.Encoding

	mu       sync.Mutex
	sequence uint64 // of the one account, as the mempool sees it
	mempool  [][]byte
	made     [][]BlockTx // blocks that nobody has asked for yet
	// by height: the next one that was made, when it is first asked for
	blocks   map[int64][]BlockTx
	pruned   int64     // the last height that is gone
	msgs     []sdk.Msg // of every transaction taken, in order
	timeouts []uint64
	lose     int // so many transactions vanish after they were taken
	fail     []sdk.TxResponse
	refuse   []sdk.TxResponse // when checked
	fees     []string         // of every transaction taken, with who grants them

	simulated int
	expects   int   // so many simulations fail
	broken    int64 // a height at which reading a block fails
	silent    int   // so often the price is not told
}

func (n *node) Account(_ context.Context,
	req *authtypes.QueryAccountRequest) (*authtypes.QueryAccountResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	any, err := codectypes.NewAnyWithValue(&authtypes.BaseAccount{Address: req.Address,
		AccountNumber: 7, Sequence: n.sequence})
	return &authtypes.QueryAccountResponse{Account: any}, err
}

func (n *node) BroadcastTx(_ context.Context,
	req *txtypes.BroadcastTxRequest) (*txtypes.BroadcastTxResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	decoded, err := n.encoding.TxConfig.TxDecoder()(req.TxBytes)
	if err != nil {
		return nil, err
	}
	var raw txtypes.TxRaw
	var auth txtypes.AuthInfo
	if err := raw.Unmarshal(req.TxBytes); err != nil {
		return nil, err
	}
	if err := auth.Unmarshal(raw.AuthInfoBytes); err != nil {
		return nil, err
	}
	if got := auth.SignerInfos[0].Sequence; got != n.sequence {
		return &txtypes.BroadcastTxResponse{
			TxResponse: &sdk.TxResponse{Codespace: sdkerrors.RootCodespace,
				Code:   sdkerrors.ErrWrongSequence.ABCICode(),
				RawLog: fmt.Sprintf("expected %d, got %d", n.sequence, got)}}, nil
	}
	if len(n.refuse) > 0 {
		var r sdk.TxResponse
		r, n.refuse = n.refuse[0], n.refuse[1:]
		return &txtypes.BroadcastTxResponse{TxResponse: &r}, nil
	}
	hash := sha256.Sum256(req.TxBytes)
	name := strings.ToUpper(hex.EncodeToString(hash[:]))
	n.sequence++
	if n.lose > 0 {
		n.lose--
		n.sequence-- // what never reaches a block does not use up a sequence
		return &txtypes.BroadcastTxResponse{TxResponse: &sdk.TxResponse{TxHash: name}}, nil
	}
	n.mempool = append(n.mempool, req.TxBytes)
	n.msgs = append(n.msgs, decoded.GetMsgs()...)
	fee := decoded.(sdk.FeeTx)
	paid := fee.GetFee().String()
	if granter := fee.FeeGranter(); granter != nil {
		name, _ := n.encoding.Addresses.BytesToString(granter)
		paid += " of " + name
	}
	n.fees = append(n.fees, paid)
	n.timeouts = append(n.timeouts, decoded.(sdk.TxWithTimeoutHeight).GetTimeoutHeight())
	return &txtypes.BroadcastTxResponse{TxResponse: &sdk.TxResponse{TxHash: name}}, nil
}

// at is a block. The caller holds n.mu.
func (n *node) at(height int64) ([]BlockTx, error) {
	if height <= n.pruned {
		return nil, status.Errorf(codes.Unknown, "height %d is not available, lowest height is %d",
			height, n.pruned+1)
	}
	if height == n.broken {
		return nil, status.Error(codes.Internal, "the block is damaged")
	}
	list, known := n.blocks[height]
	if !known && len(n.made) > 0 {
		list, n.made = n.made[0], n.made[1:]
	}
	n.blocks[height] = list
	return list, nil
}

// blockService shows the node's blocks.
type blockService struct {
	cmtservice.UnimplementedServiceServer
	node *node
}

func (s *blockService) GetBlockByHeight(_ context.Context,
	req *cmtservice.GetBlockByHeightRequest) (*cmtservice.GetBlockByHeightResponse, error) {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	list, err := s.node.at(req.Height)
	block := &cmtservice.Block{}
	for _, tx := range list {
		block.Data.Txs = append(block.Data.Txs, tx.Raw)
	}
	return &cmtservice.GetBlockByHeightResponse{SdkBlock: block}, err
}

func (s *blockService) GetBlockResults(_ context.Context,
	req *cmtservice.GetBlockResultsRequest) (*cmtservice.GetBlockResultsResponse, error) {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	list, err := s.node.at(req.Height)
	r := &cmtservice.GetBlockResultsResponse{}
	for _, tx := range list {
		r.TxsResults = append(r.TxsResults,
			&abci.ExecTxResult{Code: tx.Code, Codespace: tx.Codespace, Log: tx.Log})
	}
	return r, err
}

// Simulate tells what the next block would say.
func (n *node) Simulate(context.Context, *txtypes.SimulateRequest) (*txtypes.SimulateResponse,
	error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.simulated++
	if n.expects > 0 {
		n.expects--
		return nil, status.Error(codes.Unknown, "invalid")
	}
	return &txtypes.SimulateResponse{}, nil
}

// prices tells the node's gas price.
type prices struct {
	nodeservice.UnimplementedServiceServer
	node *node
}

func (p *prices) Config(context.Context, *nodeservice.ConfigRequest) (*nodeservice.ConfigResponse,
	error) {
	p.node.mu.Lock()
	defer p.node.mu.Unlock()
	if p.node.silent > 0 {
		p.node.silent--
		return nil, status.Error(codes.Unknown, "not yet")
	}
	return &nodeservice.ConfigResponse{MinimumGasPrice: "1000000000acpc"}, nil
}

// block takes everything from the mempool, with the results that were scripted.
func (n *node) block() {
	n.mu.Lock()
	defer n.mu.Unlock()
	var block []BlockTx
	for _, raw := range n.mempool {
		r := sdk.TxResponse{}
		if len(n.fail) > 0 {
			r, n.fail = n.fail[0], n.fail[1:]
		}
		block = append(block, BlockTx{Raw: raw, Code: r.Code, Codespace: r.Codespace,
			Log: r.RawLog})
	}
	if n.mempool = nil; block != nil {
		n.made = append(n.made, block)
	}
}

func (n *node) taken() int { n.mu.Lock(); defer n.mu.Unlock(); return len(n.msgs) }

const participant = "cpc1ukpphzhxt0r82kw4zczkk6hej0gkr72j4329ms"

func setup(t *testing.T) (*Queue, *node, *grpc.Server) {
	t.Helper()
	encoding, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	keys := keyring.NewInMemory(encoding.Codec)
	if _, _, err := keys.NewMnemonic("hot", keyring.English, sdk.FullFundraiserPath, "",
		hd.Secp256k1); err != nil {
		t.Fatal(err)
	}
	n := &node{encoding: encoding, blocks: map[int64][]BlockTx{}, sequence: 3}
	grpcCodec := codec.NewProtoCodec(encoding.Registry).GRPCCodec()
	server := grpc.NewServer(grpc.ForceServerCodec(grpcCodec))
	txtypes.RegisterServiceServer(server, n)
	authtypes.RegisterQueryServer(server, n)
	cmtservice.RegisterServiceServer(server, &blockService{node: n})
	nodeservice.RegisterServiceServer(server, &prices{node: n})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	conn, err := grpc.NewClient(l.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(grpcCodec)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	q, err := New(Config{Conn: conn, Encoding: encoding, Keys: keys, Key: "hot",
		Participant: participant, Chain: "chain"})
	if err != nil {
		t.Fatal(err)
	}
	return q, n, server
}

func commitMsg(segment uint32) sdk.Msg {
	return &sprintv1.MsgCommit{Participant: participant, Epoch: 1, Segment: segment, Node: "w1",
		Count: 1, Root: make([]byte, 32), Signature: make([]byte, 64)}
}

func step(t *testing.T, q *Queue, height int64) {
	t.Helper()
	if err := q.Step(context.Background(), height); err != nil {
		t.Fatal(err)
	}
}

func TestAWishIsSentOnceAndWrappedForTheHotKey(t *testing.T) {
	q, n, _ := setup(t)
	q.Want("commit", 100, commitMsg(1))
	q.Want("commit", 100, commitMsg(1))
	step(t, q, 10)
	step(t, q, 10)
	if n.taken() != 1 || q.Done("commit") {
		t.Fatalf("%d transactions taken, done %v; want 1 and not yet", n.taken(), q.Done("commit"))
	}
	if _, ok := n.msgs[0].(*authz.MsgExec); !ok {
		t.Errorf("sent %T; want it wrapped in a MsgExec", n.msgs[0])
	}
	if n.timeouts[0] != 10+timeoutBlocks {
		t.Errorf("timeout height %d, want %d", n.timeouts[0], 10+timeoutBlocks)
	}
	n.block()
	step(t, q, 11)
	if !q.Done("commit") {
		t.Error("included, and not done")
	}
	q.Want("commit", 100, commitMsg(1))
	step(t, q, 12)
	if n.taken() != 1 {
		t.Error("a wish that was fulfilled was sent again")
	}
}

func TestSeveralWishesShareABlock(t *testing.T) {
	q, n, _ := setup(t)
	for s := range uint32(5) {
		q.Want(fmt.Sprint("commit/", s), 100, commitMsg(s))
	}
	step(t, q, 10)
	if n.taken() != 5 {
		t.Errorf("%d of 5 taken in one step", n.taken())
	}
}

func TestALostTransactionIsSentAnewAfterItsTimeout(t *testing.T) {
	q, n, _ := setup(t)
	n.lose = 1
	q.Want("commit", 100, commitMsg(1))
	step(t, q, 10)
	for h := int64(11); h <= 10+timeoutBlocks; h++ {
		step(t, q, h)
	}
	if n.taken() != 0 {
		t.Fatal("sent again while the first could still be included")
	}
	step(t, q, 11+timeoutBlocks)
	n.block()
	step(t, q, 12+timeoutBlocks)
	if !q.Done("commit") {
		t.Error("a lost transaction was not made up for")
	}
}

func TestASequenceUsedBySomebodyElseIsReadAnew(t *testing.T) {
	q, n, _ := setup(t)
	q.Want("first", 100, commitMsg(1))
	step(t, q, 10)
	n.mu.Lock()
	n.sequence += 4 // the same key signed elsewhere
	n.mu.Unlock()
	q.Want("second", 100, commitMsg(2))
	step(t, q, 11) // refused
	step(t, q, 12) // with the sequence read again
	n.block()
	step(t, q, 13)
	if !q.Done("first") || !q.Done("second") {
		t.Errorf("first %v, second %v", q.Done("first"), q.Done("second"))
	}
}

func TestFailuresInABlock(t *testing.T) {
	done := sdk.TxResponse{Codespace: sprintv1.Codespace, Code: sprintv1.CodeDone,
		RawLog: "already"}
	bad := sdk.TxResponse{Codespace: sprintv1.Codespace, Code: 5, RawLog: "invalid"}
	for name, c := range map[string]struct {
		results []sdk.TxResponse
		done    bool
	}{
		"already done counts as done": {[]sdk.TxResponse{done}, true},
		"tried again":                 {[]sdk.TxResponse{bad, bad}, true},
		"given up after attempts":     {[]sdk.TxResponse{bad, bad, bad, bad, bad}, false},
	} {
		t.Run(name, func(t *testing.T) {
			q, n, _ := setup(t)
			n.fail = c.results
			q.Want("commit", 100, commitMsg(1))
			for h := int64(10); h < 20; h++ {
				step(t, q, h)
				n.block()
			}
			if q.Done("commit") != c.done {
				t.Errorf("done %v, want %v", q.Done("commit"), c.done)
			}
			if _, last := q.Status(); !c.done && !strings.Contains(last, "invalid") {
				t.Errorf("last error %q does not say why", last)
			}
		})
	}
}

// Two attempts are free; the second is sent only when it is expected to succeed, and the third
// pays, from what the participant granted.
// Holds spec H-5.
func TestTheThirdAttemptPays(t *testing.T) {
	q, n, _ := setup(t)
	bad := sdk.TxResponse{Codespace: sprintv1.Codespace, Code: sprintv1.CodeInvalid,
		RawLog: "invalid"}
	n.fail, n.expects = []sdk.TxResponse{bad, bad}, 2
	q.Want("commit", 100, commitMsg(1))
	for h := int64(10); h < 20; h++ {
		step(t, q, h)
		n.block()
	}
	if !q.Done("commit") {
		t.Fatal("given up")
	}
	fee := sdk.NewInt64Coin("acpc",
		1_000_000_000).Amount.MulRaw(int64(sprintv1.GasBound(commitMsg(1)))).String()
	if diff := cmp.Diff([]string{"", "", fee + "acpc of " + participant}, n.fees); diff != "" {
		t.Error(diff)
	}
	if n.simulated != 3 {
		t.Errorf("%d simulations, want two that held the second attempt back and one that "+
			"let it go", n.simulated)
	}
}

// A host that forgot its attempts, because it was restarted, learns from the chain that the next
// one pays.
func TestTheChainRemembersAttempts(t *testing.T) {
	q, n, _ := setup(t)
	n.refuse = []sdk.TxResponse{{Codespace: sprintv1.LaneCodespace, Code: sprintv1.CodeSpent,
		RawLog: "spent"}}
	q.Want("commit", 100, commitMsg(1))
	for h := int64(10); h < 13; h++ {
		step(t, q, h)
		n.block()
	}
	if !q.Done("commit") || len(n.fees) != 1 || n.fees[0] == "" {
		t.Errorf("done %v, fees %q; want one that pays", q.Done("commit"), n.fees)
	}
}

// Once the chain wants a fee it goes on wanting one, also after a paid attempt that failed in its
// block.
func TestAPaidAttemptThatFailsIsPaidAgain(t *testing.T) {
	q, n, _ := setup(t)
	n.refuse = []sdk.TxResponse{{Codespace: sprintv1.LaneCodespace, Code: sprintv1.CodeSpent,
		RawLog: "spent"}}
	n.fail = []sdk.TxResponse{{Codespace: sprintv1.Codespace, Code: sprintv1.CodePhase,
		RawLog: "too early"}}
	q.Want("commit", 100, commitMsg(1))
	for h := int64(10); h < 16; h++ {
		step(t, q, h)
		n.block()
	}
	if !q.Done("commit") || len(n.fees) != 2 || n.fees[0] == "" || n.fees[1] == "" {
		t.Errorf("done %v, fees %q; want two that pay", q.Done("commit"), n.fees)
	}
}

func TestAWindowThatIsOverEndsTheWish(t *testing.T) {
	q, n, _ := setup(t)
	q.Want("commit", 12, commitMsg(1))
	step(t, q, 12)
	if n.taken() != 0 || q.Done("commit") {
		t.Errorf("sent %d after its window", n.taken())
	}
	if waiting, last := q.Status(); len(waiting) != 0 || !strings.Contains(last, "block 12") {
		t.Errorf("waiting %v, last error %q", waiting, last)
	}
}

func TestANodeThatIsDownKeepsTheWishes(t *testing.T) {
	q, _, server := setup(t)
	server.Stop()
	q.Want("commit", 100, commitMsg(1))
	if err := q.Step(context.Background(), 10); err == nil {
		t.Fatal("no error from a node that is down")
	}
	if waiting, last := q.Status(); len(waiting) != 1 || last == "" {
		t.Errorf("waiting %v, last error %q; want the wish and the reason", waiting, last)
	}
}

func TestAnUnknownKeyNamesTheNextStep(t *testing.T) {
	encoding, err := client.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Config{Encoding: encoding, Keys: keyring.NewInMemory(encoding.Codec), Key: "hot"})
	if err == nil || !strings.Contains(err.Error(), "assay init participant") {
		t.Errorf("got %v", err)
	}
}

// A transaction is looked for in the blocks that could hold it, by who sent it and
// by nothing else: what fails there is tried again, and what cannot be looked for any
// more is sent again, which the chain takes once.
func TestPrunedBlocksDelayADuty(t *testing.T) {
	q, n, _ := setup(t)
	q.Want("commit", 100, commitMsg(1))
	step(t, q, 10)
	n.block()
	n.pruned = 30
	step(t, q, 20)
	if q.Done("commit") {
		t.Fatal("done, by a block that nobody can read")
	}
	n.mu.Lock()
	n.pruned, n.made = 0, nil
	n.mu.Unlock()
	step(t, q, 21)
	n.block()
	step(t, q, 22)
	if !q.Done("commit") {
		t.Error("it was not sent again")
	}
}

// What cannot be found out about one wish holds up no other, and the sequence that the
// others use is not given up for it.
func TestAWishThatCannotBeSettledHoldsUpNoOther(t *testing.T) {
	q, n, _ := setup(t)
	q.Want("a", 100, commitMsg(1))
	step(t, q, 10)
	n.mu.Lock()
	n.blocks[11], n.broken = nil, 11 // the node cannot read this block
	n.mu.Unlock()
	q.Want("b", 100, commitMsg(2))
	for height := int64(11); height < 13; height++ {
		if err := q.Step(context.Background(), height); err == nil ||
			!strings.Contains(err.Error(), "the block is damaged") {
			t.Fatalf("height %d: %v", height, err)
		}
	}
	if n.taken() != 2 {
		t.Fatalf("%d messages were sent, want both", n.taken())
	}
	n.mu.Lock()
	n.broken = 0
	n.mu.Unlock()
	n.block()
	step(t, q, 13)
	if !q.Done("a") || !q.Done("b") {
		t.Errorf("a done %v, b done %v", q.Done("a"), q.Done("b"))
	}
}

// A refused message waits 1, 2, 4 blocks and so on, at most a minute of them, and not
// through the end of its window; its neighbours are sent meanwhile. A duty is tried
// until its window ends, and its last refusal says why it was not taken.
func TestRefusalsBackOff(t *testing.T) {
	q, n, _ := setup(t)
	q.Want("a refused one", 60, commitMsg(1))
	for range 100 {
		n.refuse = append(n.refuse, sdk.TxResponse{Codespace: sdkerrors.RootCodespace,
			Code: sdkerrors.ErrMempoolIsFull.ABCICode(), RawLog: "the pool is full"})
	}
	var tried []int64
	for height := int64(10); height < 61; height++ {
		before := len(n.refuse)
		if err := q.Step(context.Background(), height); err != nil {
			t.Fatal(err)
		}
		if len(n.refuse) < before {
			tried = append(tried, height)
		}
	}
	if diff := cmp.Diff([]int64{10, 11, 13, 17, 25, 40, 55, 57, 58, 59}, tried); diff != "" {
		t.Error(diff)
	}
	if _, last := q.Status(); !strings.Contains(last, "block 60") ||
		!strings.Contains(last, "the pool is full") {
		t.Errorf("the last error does not say why: %s", last)
	}
	n.refuse = n.refuse[:1]
	q.Want("a", 100, commitMsg(1))
	q.Want("b", 100, commitMsg(2))
	step(t, q, 61)
	if n.taken() != 1 {
		t.Errorf("%d messages were sent beside the refused one, want its neighbour", n.taken())
	}
}

// A node that does not tell its price yet ends no wish.
func TestAPriceThatIsNotToldEndsNoWish(t *testing.T) {
	q, n, _ := setup(t)
	n.refuse = []sdk.TxResponse{{Codespace: sprintv1.LaneCodespace, Code: sprintv1.CodeSpent,
		RawLog: "spent"}}
	n.silent = 1
	q.Want("commit", 100, commitMsg(1))
	step(t, q, 10)
	if err := q.Step(context.Background(), 11); err == nil ||
		!strings.Contains(err.Error(), "gas price") {
		t.Fatalf("got %v", err)
	}
	for h := int64(12); h < 15; h++ {
		step(t, q, h)
		n.block()
	}
	if !q.Done("commit") {
		t.Error("given up")
	}
}
