// SPDX-License-Identifier: Apache-2.0

// Package node runs a node of the chain in this process: CometBFT, the app, its
// gRPC server and its REST paths, all from one home folder (see package home).
//
// A node is a validator when its consensus key has voting power and follows the
// chain when not; nothing else distinguishes them. Several nodes may run in one
// process as long as their folders and ports differ.
//
// A start makes no key in a home that is a participant's or has run before, and none
// without the record of what its key signed (identity.go).
//
// A node that cannot go on does not stay: guard.go watches for it and ends the
// node with a code and a sentence for its operator, which exit.go lists. Before a full
// disk ends it the node says that it is nearly full, in its log and to those who ask it
// how the chain goes on (room.go).
//
// Export and Rollback work on the folder of a node that does not run.
package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"cosmossdk.io/log/v2"
	cmtdb "github.com/cometbft/cometbft-db"
	cmtcmd "github.com/cometbft/cometbft/cmd/cometbft/commands"
	cmtcfg "github.com/cometbft/cometbft/config"
	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/rpc/client/local"
	sm "github.com/cometbft/cometbft/state"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/syndtr/goleveldb/leveldb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/server/api"
	servercmtlog "github.com/cosmos/cosmos-sdk/server/log"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/internal/clock"
	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/internal/plain"
)

// ErrNode reports a node that cannot run.
var ErrNode = errors.New("node: cannot run")

// Options say which node to run.
type Options struct {
	// Home is the node's folder.
	Home string
	// Engine judges leaves in disputes.
	Engine court.Engine
	Logger log.Logger
	// Space measures disks; nil is the system's.
	Space func(folder string) (disk.Space, error)
	// Started is called once the node takes part; nil is allowed.
	Started func(*Node)
}

// Node is a running node, for those in the same process.
type Node struct {
	App *app.App
	// Client speaks CometBFT's RPC without a connection.
	Client *local.Local
	Config home.Config
}

// Run runs a node until ctx ends or a part of it fails. It returns nil in the
// first case, when everything is stopped and all files are closed. A node that
// cannot go on ends by itself, with an *Exit.
func Run(ctx context.Context, o Options) (err error) {
	name()
	config, genesis, err := load(o.Home)
	if err != nil {
		return err
	}
	unlock, err := lock(o.Home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := identity(config); err != nil {
		return err
	}
	warnPublic(o.Home, o.Logger)
	if err := checkPeers(config.Comet.P2P.AddrBookFile(), o.Logger); err != nil {
		return err
	}
	dir := config.Comet.DBDir()
	room := newRoom(dir, o.Space, o.Logger)
	room.look(time.Now())
	defer func() {
		var exit *Exit
		if err != nil && !errors.As(err, &exit) && disk.Full(writable(dir)) {
			err = unwritable(dir, err) // a database that does not open hides why
		}
	}()
	a, err := open(config, o.Engine, o.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()

	g := newGuard(config, a, o.Logger)
	defer func() {
		if exit := g.reason(); exit != nil {
			err = exit // what fails while it closes is a consequence
		}
	}()
	dbs := databases{guard: g}
	defer func() { err = errors.Join(err, dbs.close()) }()
	comet, signs, err := startComet(ctx, config, &dbs, genesis, g)
	if err != nil {
		return err
	}
	stop := func() error {
		if !comet.IsRunning() {
			return nil
		}
		return comet.Stop()
	}
	decides, err := deciding(comet)
	if err != nil {
		return errors.Join(err, stop())
	}
	stopping, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		followed := make(chan struct{})
		go func() {
			defer close(followed)
			signs.follow(decides.SetPrivValidator, stopping)
		}()
		g.watch(comet, decides, stopping)
		<-followed
	}()
	defer func() {
		close(stopping)
		err = errors.Join(err, stop())
		comet.Wait()
		<-watched
	}()

	n := &Node{App: a, Client: local.New(comet), Config: config}
	timing := config.Comet.Consensus
	p := newProgress(g.eyes(comet, decides),
		stillAfter(timing.TimeoutCommit, timing.TimeoutPropose), clock.New(nil), o.Logger)
	return n.run(ctx, o, genesis.ChainID, g, p, room, comet.Quit())
}

// run answers questions and watches the node until ctx ends, the guard ends it, or CometBFT has
// quit.
func (n *Node) run(ctx context.Context, o Options, chain string, g *guard, p *progress, room *room,
	quit <-chan struct{}) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { p.run(ctx); return nil })
	group.Go(func() error { room.run(ctx); return nil })
	n.App.ServeProgress(func() registryv1.ProgressResponse {
		now := p.report()
		now.Disk = room.reason()
		return now
	})
	if n.Config.Comet.PrivValidatorListenAddr == "" { // else another program signs
		n.App.ServeRotation(home.Rotation)
	}
	if err := n.serve(ctx, group, chain, o.Logger); err != nil {
		return err
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-g.failed:
			return g.exit
		case <-quit:
			return fmt.Errorf("%w: CometBFT stopped; its log says why", ErrNode)
		}
	})
	if o.Started != nil {
		o.Started(n)
	}
	return group.Wait()
}

// serve starts what others talk to: gRPC and, over it, REST.
func (n *Node) serve(ctx context.Context, group *errgroup.Group, chain string,
	logger log.Logger) error {
	encoding, config := n.App.Encoding(), n.Config
	clientCtx := client.Context{}.
		WithCodec(encoding.Codec).WithInterfaceRegistry(encoding.Registry).WithTxConfig(
		encoding.TxConfig).
		WithLegacyAmino(encoding.Amino).WithAccountRetriever(authtypes.AccountRetriever{}).
		WithChainID(chain).WithHomeDir(config.Dir).WithClient(n.Client)
	n.App.RegisterTxService(clientCtx)
	n.App.RegisterTendermintService(clientCtx)
	n.App.RegisterNodeService(clientCtx, config.App)
	grpcServer, clientCtx, err := server.StartGrpcServer(ctx, group, config.App.GRPC, clientCtx,
		server.NewContext(config.Options, config.Comet, logger), n.App, grpc.WithNoProxy())
	if err != nil {
		return fmt.Errorf("%w: gRPC server: %w", ErrNode, err)
	}
	if !config.App.API.Enable {
		return nil
	}
	rest := api.New(clientCtx, logger.With(log.ModuleKey, "api"), grpcServer)
	n.App.RegisterAPIRoutes(rest, config.App.API)
	group.Go(func() error { return rest.Start(ctx, config.App) })
	return nil
}

// load reads a home's configuration and genesis.
func load(dir string) (home.Config, *cmttypes.GenesisDoc, error) {
	config, err := home.Load(dir)
	if err != nil {
		return config, nil, err
	}
	path := config.Comet.GenesisFile()
	text, err := plain.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config, nil, fmt.Errorf("%w: no genesis at %s; put the network's there with "+
			"`assay init join`", ErrNode, path)
	}
	if err != nil {
		return config, nil, fmt.Errorf("%w: %w", ErrNode, err)
	}
	state, err := genutiltypes.AppGenesisFromReader(bytes.NewReader(text))
	if err != nil {
		return config, nil, fmt.Errorf("%w: %s is no genesis: put the network's there (%s)",
			ErrNode, path, strings.ReplaceAll(err.Error(), "\n", ";"))
	}
	genesis, err := state.ToGenesisDoc()
	if err != nil {
		return config, nil, fmt.Errorf("%w: %s: %w", ErrNode, path, err)
	}
	if own, err := home.ReadParticipant(filepath.Join(dir, home.Public)); err == nil &&
		own.Chain != genesis.ChainID {
		return config, nil, fmt.Errorf("%w: %s is of chain %s, and this folder's keys are "+
			"participant %q's of chain %s: give it that chain's genesis", ErrNode, path,
			genesis.ChainID, own.Moniker, own.Chain)
	}
	return config, genesis, nil
}

// warnPublic says that the file which a participant gives to others is damaged. The node itself
// goes on without it.
func warnPublic(dir string, logger log.Logger) {
	if _, err := home.ReadParticipant(filepath.Join(dir, home.Public)); err != nil &&
		!errors.Is(err, fs.ErrNotExist) {
		logger.Warn("the file that tells others of this participant is damaged; `assay init "+
			"participant` writes it again and keeps the keys", "err", err)
	}
}

// open opens the app over the home's database.
func open(config home.Config, engine court.Engine, logger log.Logger) (*app.App, error) {
	db, err := dbm.NewDB("application", server.GetAppDBBackend(config.Options),
		config.Comet.DBDir())
	if err != nil {
		return nil, fmt.Errorf("%w: database in %s (does another node run on it?): %w", ErrNode,
			config.Comet.DBDir(), err)
	}
	a, err := app.New(logger, db, engine, config.Options,
		server.DefaultBaseappOptions(config.Options)...)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return a, nil
}

// databases remembers what CometBFT opens. It closes most of it itself, but not
// the index of transactions, and nothing when it fails to start; the files would
// stay locked in this process.
type databases struct {
	guard *guard
	open  []cmtdb.DB
	state sm.Store // of CometBFT's, once it is open
}

// next is the validator set of the next block; nil before the first.
func (d *databases) next() (*cmttypes.ValidatorSet, error) {
	if d.state == nil {
		return nil, nil
	}
	state, err := d.state.Load()
	return state.Validators, err
}

func (d *databases) provide(c *cmtcfg.DBContext) (cmtdb.DB, error) {
	db, err := cmtcfg.DefaultDBProvider(c)
	if err != nil {
		return nil, err
	}
	d.open = append(d.open, db)
	if c.ID == "state" {
		d.state = sm.NewStore(db, sm.StoreOptions{})
	}
	return watchedDB{db, d.guard}, nil
}

func (d *databases) close() (err error) {
	for _, db := range d.open {
		if e := db.Close(); e != nil && !errors.Is(e, leveldb.ErrClosed) {
			err = errors.Join(err, fmt.Errorf("node: closing a database: %w", e))
		}
	}
	return err
}

// startComet runs the blocks that CometBFT has and the app has not, and starts it.
// A state that does not follow from these blocks is a panic there.
func startComet(ctx context.Context, c home.Config, dbs *databases, genesis *cmttypes.GenesisDoc,
	g *guard) (comet *cmtnode.Node, signs *signer, err error) {
	config := c.Comet
	defer func() {
		if r := recover(); r != nil {
			g.fail(g.app.LastBlockHeight()+1, unable(fmt.Errorf("CometBFT: %v", r)))
			err = g.reason()
		}
	}()
	key, err := home.NodeKey(config.NodeKeyFile())
	if err == nil {
		_, err = home.ConsensusKey(config.PrivValidatorKeyFile(), config.PrivValidatorStateFile())
	}
	if err == nil {
		signs, err = newSigner(c.Dir, first(c), dbs.next, g.logger)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNode, err)
	}
	comet, err = cmtnode.NewNodeWithContext(ctx, config,
		signs, key,
		proxy.NewLocalClientCreator(&witness{Application: server.NewCometABCIWrapper(g.app),
			guard: g}),
		func() (*cmttypes.GenesisDoc, error) { return genesis, nil },
		dbs.provide,
		cmtnode.DefaultMetricsProvider(config.Instrumentation),
		servercmtlog.CometLoggerWrapper{Logger: recorder{g.logger, g.last}},
	)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: CometBFT: %w", ErrNode, err)
	}
	g.comet.Store(comet)
	if err := comet.Start(); err != nil {
		return nil, nil, fmt.Errorf("%w: CometBFT: %w", ErrNode, err)
	}
	return comet, signs, nil
}

// Export writes the state of a home as a genesis that goes on at the next height.
func Export(dir string, logger log.Logger) (g *genutiltypes.AppGenesis, err error) {
	config, genesis, err := load(dir)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	a, err := open(config, nil, logger)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	exported, err := a.Export(nil)
	if err != nil {
		return nil, err
	}
	params := cmttypes.ConsensusParamsFromProto(exported.ConsensusParams)
	return &genutiltypes.AppGenesis{
		AppName: app.Name, GenesisTime: genesis.GenesisTime, ChainID: genesis.ChainID,
		InitialHeight: exported.Height, AppState: exported.AppState,
		Consensus: &genutiltypes.ConsensusGenesis{Params: &params, Validators: exported.Validators},
	}, nil
}

// Rollback takes the state of a home back by one height, so that the last block
// runs again; with hard the block goes, too. It returns where the state stands.
func Rollback(dir string, hard bool, logger log.Logger) (height int64, hash []byte, err error) {
	config, _, err := load(dir)
	if err != nil {
		return 0, nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	a, err := open(config, nil, logger)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	height, hash, err = cmtcmd.RollbackState(config.Comet, hard)
	if err != nil {
		return 0, nil, fmt.Errorf("node: rollback of CometBFT's state: %w", err)
	}
	if err := a.CommitMultiStore().RollbackToVersion(height); err != nil {
		return 0, nil, fmt.Errorf("node: rollback of the state: %w", err)
	}
	return height, hash, nil
}
