// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"cosmossdk.io/log/v2"
	cmtdb "github.com/cometbft/cometbft-db"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtnode "github.com/cometbft/cometbft/node"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
)

// guard ends a node that cannot go on. CometBFT does not: it logs that consensus
// failed and keeps the rest running, which looks alive to everybody. So each way to
// fail is watched where it begins, whatever is logged: blocks that the app cannot
// execute or commit (witness), writes that a database refuses (watchedDB), and the
// end of the routine that decides blocks (watch), which covers all others.
type guard struct {
	config home.Config
	app    *app.App
	logger log.Logger
	// last is what CometBFT logged last as an error. It only explains.
	last *atomic.Pointer[string]
	// comet is set before it starts.
	comet atomic.Pointer[cmtnode.Node]

	once   sync.Once
	failed chan struct{} // closed once exit is set
	exit   *Exit
}

func newGuard(config home.Config, a *app.App, logger log.Logger) *guard {
	return &guard{config: config, app: a, logger: logger, last: new(atomic.Pointer[string]),
		failed: make(chan struct{})}
}

// reason is why the node has to end, nil if it has not.
func (g *guard) reason() *Exit {
	select {
	case <-g.failed:
		return g.exit
	default:
		return nil
	}
}

// fail ends the node. Of several reasons the first one counts.
func (g *guard) fail(height int64, exit *Exit) {
	g.once.Do(func() {
		exit.Height = height
		g.exit = exit
		g.logger.Error("the node stops", "code", int(exit.Code), "reason", exit.Error())
		close(g.failed)
	})
}

// leave ends the routine that called into the node if it is the one that catches up
// on blocks, which would end the whole program with a trace instead of a reason.
// Others get the error, and CometBFT deals with it.
func (g *guard) leave() {
	if comet := g.comet.Load(); comet != nil && comet.ConsensusReactor().WaitSync() {
		runtime.Goexit()
	}
}

// routine ends when CometBFT no longer decides blocks.
type routine interface{ Wait() }

// deciding finds that routine. CometBFT shows its consensus state to its RPC only.
func deciding(comet *cmtnode.Node) (consensus, error) {
	env, err := comet.ConfigureRPC()
	if err != nil {
		return nil, fmt.Errorf("%w: CometBFT: %w", ErrNode, err)
	}
	r, ok := env.ConsensusState.(consensus)
	if !ok {
		return nil, fmt.Errorf("%w: this release of CometBFT does not tell how its consensus "+
			"goes on, and when it fails (%T)", ErrNode, env.ConsensusState)
	}
	return r, nil
}

// watch waits for the end of the routine that decides blocks, which a panic ends
// without anybody else noticing. It returns when CometBFT has stopped.
func (g *guard) watch(comet *cmtnode.Node, decides routine, stopping <-chan struct{}) {
	// Before it catches up with the chain there is no such routine.
	for tick := time.NewTicker(200 * time.Millisecond); comet.ConsensusReactor().WaitSync(); {
		select {
		case <-stopping:
			tick.Stop()
			return
		case <-tick.C:
		}
	}
	decides.Wait()
	select {
	case <-stopping:
		return
	default:
	}
	cause := errors.New("consensus failed")
	if last := g.last.Load(); last != nil {
		cause = errors.New(*last)
	}
	g.fail(g.app.LastBlockHeight()+1, ended(g.config.Comet.DBDir(), cause))
}

// witness sees how the app takes each block.
type witness struct {
	abci.Application
	*guard
	height int64 // of the block that is executed
}

// FinalizeBlock executes a block.
func (w *witness) FinalizeBlock(ctx context.Context,
	req *abci.RequestFinalizeBlock) (res *abci.ResponseFinalizeBlock, err error) {
	w.height = req.Height
	defer w.report(&err, func() *Exit {
		if exit := halted(w.config, req.Height, req.Time.Unix()); exit != nil {
			return exit
		}
		return misfit(w.app, req.Height)
	})
	return w.Application.FinalizeBlock(ctx, req)
}

// Commit writes the state after it.
func (w *witness) Commit(ctx context.Context, req *abci.RequestCommit) (res *abci.ResponseCommit,
	err error) {
	defer w.report(&err, func() *Exit { return nil })
	return w.Application.Commit(ctx, req)
}

// report is deferred: it ends the node if a call failed or panicked. explain may
// know the reason.
func (w *witness) report(err *error, explain func() *Exit) {
	if r := recover(); r != nil {
		w.logger.Error("the app panics", "panic", r, "stack", string(debug.Stack()))
		if cause, ok := r.(error); ok {
			*err = fmt.Errorf("panic: %w", cause)
		} else {
			*err = fmt.Errorf("panic: %v", r)
		}
	}
	if *err == nil {
		return
	}
	exit := explain()
	if exit == nil {
		exit = ended(w.config.Comet.DBDir(), *err)
	}
	w.fail(w.height, exit)
	w.leave()
}

// watchedDB is one of CometBFT's databases. CometBFT panics when a write fails, in
// whichever routine it happens.
type watchedDB struct {
	cmtdb.DB
	*guard
}

func (d watchedDB) wrote(err error) error {
	if err != nil {
		d.fail(d.app.LastBlockHeight()+1, unwritable(d.config.Comet.DBDir(), err))
		d.leave()
	}
	return err
}

func (d watchedDB) Set(key, value []byte) error     { return d.wrote(d.DB.Set(key, value)) }
func (d watchedDB) SetSync(key, value []byte) error { return d.wrote(d.DB.SetSync(key, value)) }
func (d watchedDB) Delete(key []byte) error         { return d.wrote(d.DB.Delete(key)) }
func (d watchedDB) DeleteSync(key []byte) error     { return d.wrote(d.DB.DeleteSync(key)) }
func (d watchedDB) NewBatch() cmtdb.Batch           { return watchedBatch{d.DB.NewBatch(), d} }

type watchedBatch struct {
	cmtdb.Batch
	db watchedDB
}

func (b watchedBatch) Write() error     { return b.db.wrote(b.Batch.Write()) }
func (b watchedBatch) WriteSync() error { return b.db.wrote(b.Batch.WriteSync()) }

// recorder remembers the last error that was logged.
type recorder struct {
	log.Logger
	last *atomic.Pointer[string]
}

// Error logs and remembers.
func (r recorder) Error(msg string, keyVals ...any) {
	text := msg
	for i := 0; i+1 < len(keyVals); i += 2 {
		if keyVals[i] == "err" || keyVals[i] == "error" {
			text = fmt.Sprintf("%s: %.300v", msg, keyVals[i+1])
		}
	}
	r.last.Store(&text)
	r.Logger.Error(msg, keyVals...)
}

// With adds to what is logged.
func (r recorder) With(keyVals ...any) log.Logger {
	return recorder{r.Logger.With(keyVals...), r.last}
}
