// SPDX-License-Identifier: Apache-2.0

// Package submit is a participant's one transaction queue.
//
// The host does not hand over transactions and forget them; every block it says what it still wants
// on chain (Want), and Step brings that about. A wish is named, so saying it again does nothing,
// and it is dropped once the chain took it. That is why the queue survives anything: a node that
// was restarted, a transaction lost from a mempool, a sequence number used by somebody else.
// Nothing has to be kept on disk, because the wish is derived from the chain's own state each time.
//
// Messages are signed by the hot key, which holds nothing but grants for these messages (x/authz)
// and sends nothing else; the participant's own key stays cold. Every transaction carries a timeout
// height, so one that is given up can never act later.
//
// Two attempts at a duty are free, and one that fails in a block has used its attempt. So the
// second is simulated before it is sent, and sent only when the node expects it to succeed; later
// ones pay, out of what the participant allows its hot key to spend (x/feegrant).
package submit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	nodeservice "github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	"github.com/cosmos/cosmos-sdk/x/authz"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
)

const (
	// timeoutBlocks is how long a transaction may wait for a block before it is given up and sent
	// again.
	timeoutBlocks = 6
	// attempts is how often a wish that fails in a block is tried, and one that is
	// refused and no duty.
	attempts = 5
	// longestWait, in blocks, is the longest wait after a refusal: a minute of them.
	longestWait = 15
	// patience is after how many refusals a person is told.
	patience = 3
	// lastBlocks before its window ends a duty is tried in every block.
	lastBlocks = 3
)

// errPrice says that the node did not tell what it charges.
var errPrice = errors.New("asking the node for its gas price")

// Denom is the chain's base unit.
const Denom = "acpc"

// Queue signs and sends. Its methods are for one goroutine, except Status.
type Queue struct {
	conn        *grpc.ClientConn
	blocks      *Blocks
	encoding    client.Encoding
	keys        keyring.Keyring
	keyName     string
	signer      string // bech32 of the key
	participant string
	chain       string
	fees        string
	logger      *slog.Logger

	known            bool // number and sequence hold
	number, sequence uint64

	mu     sync.Mutex // guards what follows
	wishes map[string]*wish
	last   string // last error, for the status
}

type wish struct {
	id       string
	msgs     []sdk.Msg
	until    int64 // last height at which it makes sense
	hash     string
	looked   int64 // the last block that was checked
	expires  int64
	attempts int   // refused or failed
	wait     int64 // blocks, after the last refusal
	due      int64 // the height from which on it is sent again
	failed   int   // in a block; these have used a free attempt
	pays     bool
	done     bool
	err      string
	reason   string // of the last refusal
}

// Config is what a queue needs; all fields but Logger are required.
type Config struct {
	Conn        *grpc.ClientConn
	Encoding    client.Encoding
	Keys        keyring.Keyring
	Key         string // name of the signing key in Keys
	Participant string // on whose behalf
	Chain       string
	Fees        string // paid per transaction, such as 1000acpc; protocol messages are free
	Logger      *slog.Logger
}

// New returns an empty queue.
func New(c Config) (*Queue, error) {
	record, err := c.Keys.Key(c.Key)
	if err != nil {
		return nil, fmt.Errorf("submit: key %q is not in the keyring: create the participant "+
			"with `assay init participant`, or name another key: %w", c.Key, err)
	}
	address, err := record.GetAddress()
	if err != nil {
		return nil, fmt.Errorf("submit: key %q: %w", c.Key, err)
	}
	signer, err := c.Encoding.Addresses.BytesToString(address)
	if err != nil {
		return nil, err
	}
	logger := c.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Queue{conn: c.Conn, blocks: NewBlocks(c.Conn), encoding: c.Encoding, keys: c.Keys,
		keyName: c.Key, signer: signer,
		participant: c.Participant, chain: c.Chain, fees: c.Fees, logger: logger,
		wishes: map[string]*wish{}}, nil
}

// Want asks for messages to be on chain by height until. The same id again changes nothing while it
// is under way or done.
func (q *Queue) Want(id string, until int64, msgs ...sdk.Msg) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wishes[id] == nil {
		q.wishes[id] = &wish{id: id, msgs: msgs, until: until}
	}
}

// Done reports whether the chain took what was wanted.
func (q *Queue) Done(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.wishes[id]
	return w != nil && w.done
}

// Failed reports whether the chain refused what was wanted, or its time is over. It is forgotten
// after a while.
func (q *Queue) Failed(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.wishes[id]
	return w != nil && w.err != ""
}

// Status names the wishes under way and the last error.
func (q *Queue) Status() (waiting []string, lastError string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, w := range q.wishes {
		if !w.done && w.err == "" {
			waiting = append(waiting, id)
		}
	}
	sort.Strings(waiting)
	return waiting, q.last
}

// Step settles what was sent and sends what is due at this height. An error means that the node
// could not be reached, which ends the step, or that it could not say something about a wish, which
// holds up no other; the wishes stay.
func (q *Queue) Step(ctx context.Context, height int64) (failed error) {
	for _, w := range q.open() {
		if w.hash == "" {
			continue
		}
		if err := q.settle(ctx, w, height); err != nil {
			if failed = errors.Join(failed, err); unreachable(err) {
				return q.note(failed)
			}
		}
	}
	for _, w := range q.open() {
		switch {
		case w.hash != "":
		case height >= w.until:
			reason := fmt.Sprintf("its window ended at block %d", w.until)
			if w.reason != "" {
				reason += "; it was refused: " + w.reason
			}
			q.finish(w, false, reason)
		case height < w.due:
		default:
			again, err := q.send(ctx, w, height)
			if err != nil {
				if failed = errors.Join(failed, err); unreachable(err) {
					return q.note(failed)
				}
			}
			if again {
				// the sequence was wrong; everything behind it waits for the next step
				return q.note(failed)
			}
		}
	}
	q.forget(height)
	return q.note(failed)
}

// unreachable reports whether an error is about the node and not about what it was asked.
func unreachable(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// open lists wishes that still need something, in a stable order.
func (q *Queue) open() []*wish {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []*wish
	for _, w := range q.wishes {
		if !w.done && w.err == "" {
			all = append(all, w)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	return all
}

// forget drops what is long past, so that the map stays small.
func (q *Queue) forget(height int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, w := range q.wishes {
		if (w.done || w.err != "") && height > w.until+100 {
			delete(q.wishes, id)
		}
	}
}

func (q *Queue) finish(w *wish, done bool, reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.done, w.err, w.hash = done, "", ""
	if !done {
		w.err = reason
		q.last = w.id + ": " + reason
		q.logger.Error("message not accepted", "err", reason, "msg", w.id)
	}
}

func (q *Queue) note(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.last = err.Error()
	}
	if unreachable(err) {
		q.known = false // what was sent may be lost
	}
	return err
}

// settle looks for a sent transaction in the blocks.
func (q *Queue) settle(ctx context.Context, w *wish, height int64) error {
	to := min(height, w.expires)
	tx, _, found, _, err := q.blocks.Find(ctx, w.hash, w.looked, to)
	if err != nil {
		return fmt.Errorf("submit: looking for transaction %s: %w", w.hash, err)
	}
	w.looked = to
	switch {
	case found && (tx.Code == 0 || tx.Codespace == sprintv1.Codespace &&
		tx.Code == sprintv1.CodeDone):
		q.finish(w, true, "")
	case found:
		w.reason = tx.Log
		w.hash, w.attempts, w.failed, w.wait = "", w.attempts+1, w.failed+1, 0
		w.pays = w.pays || w.failed >= sprintv1.FreeAttempts
		q.logger.Warn("message failed in a block", "msg", w.id, "err", tx.Log)
		if w.attempts >= attempts {
			q.finish(w, false, tx.Log)
		}
	case height > w.expires: // also where blocks are gone: the chain takes nothing twice
		w.hash, q.known = "", false
	}
	return nil
}

// send signs and broadcasts one wish; again is true when the account's sequence has to be read
// again.
func (q *Queue) send(ctx context.Context, w *wish, height int64) (again bool, err error) {
	if !q.known {
		if err := q.resync(ctx); err != nil {
			return false, err
		}
	}
	raw, err := q.sign(ctx, w, height+timeoutBlocks)
	if errors.Is(err, errPrice) {
		return false, err
	} else if err != nil {
		q.finish(w, false, err.Error())
		return false, nil
	}
	if w.failed > 0 && !w.pays {
		if err := q.simulate(ctx, raw); err != nil {
			q.logger.Warn("message held back: it would fail again", "msg", w.id, "err", err)
			return false, nil
		}
	}
	res, err := txtypes.NewServiceClient(q.conn).BroadcastTx(ctx,
		&txtypes.BroadcastTxRequest{TxBytes: raw, Mode: txtypes.BroadcastMode_BROADCAST_MODE_SYNC})
	if err != nil {
		q.known = false // it may have been taken
		return false, fmt.Errorf("submit: sending %s: %w", w.id, err)
	}
	r := res.TxResponse
	switch {
	case r.Code == 0, is(r, sdkerrors.RootCodespace, sdkerrors.ErrTxInMempoolCache.ABCICode()):
		w.hash, w.looked, w.expires = Hash(raw), height, height+timeoutBlocks
		q.sequence++
		q.logger.Debug("message sent", "msg", w.id, "tx", r.TxHash)
		return false, nil
	case is(r, sdkerrors.RootCodespace, sdkerrors.ErrWrongSequence.ABCICode()):
		q.known = false
		return true, nil
	case is(r, sprintv1.Codespace, sprintv1.CodeDone):
		q.finish(w, true, "")
		return false, nil
	case !w.pays && (is(r, sprintv1.LaneCodespace, sprintv1.CodeSpent) ||
		is(r, sprintv1.LaneCodespace, sprintv1.CodeNotAlone) ||
		is(r, sprintv1.Codespace, sprintv1.CodeInvalid)):
		w.pays = true // attempts of an earlier run of this host, or more bytes than are free
		return false, nil
	default: // and the sequence is not used
		q.refused(w, height, r.RawLog)
		return false, nil
	}
}

// refused makes a wish wait: 1, 2, 4 blocks and so on, up to a minute, but not through the end of
// its window. A duty is owed until then, whatever else is given up.
func (q *Queue) refused(w *wish, height int64, reason string) {
	w.attempts++
	w.reason = reason
	w.wait = max(1, min(2*w.wait, longestWait))
	w.due = height + w.wait
	if w.due > w.until-lastBlocks {
		w.due = max(height+1, w.until-lastBlocks)
	}
	q.logger.Warn("message refused", "msg", w.id, "err", reason, "again_at", w.due)
	if w.attempts >= attempts && !duties(w.msgs) {
		q.finish(w, false, reason)
	}
}

// is reports whether a response has a code.
func is(r *sdk.TxResponse, codespace string, code uint32) bool {
	return r.Codespace == codespace && r.Code == code
}

// simulate runs a transaction on the node's state. An error is the chain's refusal; a node that
// cannot simulate has no objection.
func (q *Queue) simulate(ctx context.Context, raw []byte) error {
	_, err := txtypes.NewServiceClient(q.conn).Simulate(ctx, &txtypes.SimulateRequest{TxBytes: raw})
	if status.Code(err) == codes.Unknown { // what handlers return
		return err
	}
	return nil
}

// resync reads account number and sequence of the signing key.
func (q *Queue) resync(ctx context.Context) error {
	number, sequence, err := q.encoding.Account(ctx, q.conn, q.signer)
	if err != nil {
		return fmt.Errorf("submit: key %q: %w", q.keyName, err)
	}
	q.number, q.sequence, q.known = number, sequence, true
	return nil
}

// sign wraps the messages for the hot key and signs them.
func (q *Queue) sign(ctx context.Context, w *wish, timeout int64) ([]byte, error) {
	msgs := w.msgs
	if q.signer != q.participant {
		grantee, err := q.encoding.Addresses.StringToBytes(q.signer)
		if err != nil {
			return nil, err
		}
		exec := authz.NewMsgExec(grantee, msgs)
		msgs = []sdk.Msg{&exec}
	}
	terms := client.Terms{Gas: sprintv1.GasBound(w.msgs...), Fees: q.fees, Timeout: timeout}
	if w.pays || q.signer == q.participant && !duties(w.msgs) {
		if err := q.pay(ctx, &terms); err != nil {
			return nil, fmt.Errorf("submit: %s: %w", w.id, err)
		}
	}
	raw, err := q.encoding.Sign(ctx, client.Signer{Keys: q.keys, Key: q.keyName, Chain: q.chain,
		Number: q.number, Sequence: q.sequence}, terms, msgs...)
	if err != nil {
		return nil, fmt.Errorf("submit: %s: %w", w.id, err)
	}
	return raw, nil
}

// duties: whether messages are all of the kind that is free while it is owed.
func duties(msgs []sdk.Msg) bool {
	return !slices.ContainsFunc(msgs, func(m sdk.Msg) bool {
		_, _, ok := sprintv1.DutyOf(m)
		return !ok
	})
}

// pay adds a fee at the node's price, which the participant grants to its hot key.
func (q *Queue) pay(ctx context.Context, t *client.Terms) error {
	if t.Fees == "" {
		res, err := nodeservice.NewServiceClient(q.conn).Config(ctx, &nodeservice.ConfigRequest{})
		if err != nil {
			return fmt.Errorf("%w: %w", errPrice, err)
		}
		prices, err := sdk.ParseDecCoins(res.MinimumGasPrice)
		if err != nil {
			return fmt.Errorf("gas price of the node: %w", err)
		}
		var fees []string
		if prices.IsZero() { // what pays nothing is not taken, however cheap a node is
			fees = append(fees, "1"+Denom)
		}
		for _, price := range prices {
			fees = append(fees, price.Amount.MulInt64(int64(t.Gas)).Ceil().TruncateInt().String()+
				price.Denom)
		}
		t.Fees = strings.Join(fees, ",")
	}
	if q.signer == q.participant {
		return nil
	}
	granter, err := q.encoding.Addresses.StringToBytes(q.participant)
	t.Granter = granter
	return err
}

// Send brings messages on chain and returns once a block holds them: for a person at a terminal.
// next waits for the next block and returns its height.
func (q *Queue) Send(ctx context.Context, next func(context.Context) (height int64, err error),
	id string, msgs ...sdk.Msg) error {
	height, err := next(ctx)
	if err != nil {
		return err
	}
	q.Want(id, height+10*timeoutBlocks, msgs...)
	for {
		if err := q.Step(ctx, height); err != nil {
			return err
		}
		q.mu.Lock()
		w := *q.wishes[id]
		q.mu.Unlock()
		if w.done {
			return nil
		}
		if w.err != "" {
			return fmt.Errorf("submit: %s: %s", id, w.err)
		}
		if w.attempts >= patience && w.hash == "" { // a person waits
			return fmt.Errorf("submit: %s: refused %d times: %s", id, w.attempts, w.reason)
		}
		if height, err = next(ctx); err != nil {
			return err
		}
	}
}
