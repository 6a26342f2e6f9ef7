// SPDX-License-Identifier: Apache-2.0

package localnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/assaynet/assay/adversary"
	courtv1 "github.com/assaynet/assay/api/court/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	streamv1 "github.com/assaynet/assay/api/stream/v1"
	"github.com/assaynet/assay/client"
	"github.com/assaynet/assay/host"
	hostcli "github.com/assaynet/assay/host/cli"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/localnet/crew"
)

// FaucetKey names the funded account in the first participant's keyring.
const FaucetKey = "faucet"

// PayKey names the account that pays the machines of the first participant's pool.
const PayKey = "pay"

// tempPrefix begins the name of a network's folder that nobody named.
const tempPrefix = "assay-localnet-"

// stateFile makes a folder a network.
const stateFile = "localnet.json"

// lockFile is held while a network is open; see New.
const lockFile = "localnet.lock"

// NodeID is the node of each participant's one worker.
const NodeID = "w1"

// Options describe a network; a folder that holds one already keeps what it was made with.
type Options struct {
	// Home is the network's folder; empty: a new one below the temporary folder.
	Home string
	// Participants is how many take part, 1 to 16.
	Participants int
	// Cheat is what the last participant does; see package adversary.
	Cheat string
	// Pool makes the first participant's host offer challenges to any machine, and pay for them.
	Pool bool
	// Params replace the localnet parameters of x/sprint, for tests with short windows.
	Params *sprintv1.Params
	// Stream replaces those of x/stream.
	Stream *streamv1.Params
	// BlockTime is the pause between blocks; 700 ms by default.
	BlockTime time.Duration
	// Asked names the options above that a person set by their flags: a network that exists must
	// have been made with the same. Others do not matter for it.
	Asked []string
	// Stay leaves a process down that ended by itself; Run starts it again otherwise.
	Stay bool
}

// Role is one of a participant's three processes.
type Role string

// The roles, in the order in which they start.
const (
	Node   Role = "node"
	Host   Role = "host"
	Worker Role = "worker"
)

// Network is one network on this machine.
type Network struct {
	Home    string    `json:"-"`
	Chain   string    `json:"chain"`
	Faucet  string    `json:"faucet"`
	Members []*Member `json:"members"`
	// Genesis is the SHA-256 of every member's genesis file, in hexadecimal digits; empty for
	// networks of earlier programs.
	Genesis string `json:"genesis,omitempty"`

	blockTime time.Duration
	pool      bool
	crew      *crew.Crew
	connected sync.Mutex // guards conns
	conns     map[int]*grpc.ClientConn
	unlock    func() error
}

// Member is one participant with its three processes.
type Member struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Cheat   string `json:"cheat"`
	// Peer is how other nodes dial this one: id@host:port.
	Peer string `json:"peer"`
	Home string `json:"-"`

	// addresses on this machine; see choosePorts
	P2P           string `json:"p2p"`
	RPC           string `json:"rpc"`
	GRPC          string `json:"grpc"`
	API           string `json:"api"`
	Workers       string `json:"workers"`
	StatusAddress string `json:"status"`
}

// New makes a network in its folder, or finds the one that is there. The folder is the network's
// until Stop.
func New(o Options) (*Network, error) {
	if o.Home == "" {
		if err := new(Network).creatable(o); err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", tempPrefix)
		if err != nil {
			return nil, fmt.Errorf("localnet: %w", err)
		}
		o.Home = dir
	}
	home, err := filepath.Abs(o.Home)
	if err != nil {
		return nil, err
	}
	n := &Network{Home: home, conns: map[int]*grpc.ClientConn{}, blockTime: o.BlockTime,
		pool: o.Pool}
	if n.blockTime == 0 {
		n.blockTime = 700 * time.Millisecond
	}
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	n.crew = &crew.Crew{Program: exe, Stay: o.Stay,
		Heal: program() + " localnet heal --home " + home}
	_, err = os.Stat(filepath.Join(home, stateFile))
	made := err == nil
	switch {
	case made:
	case errors.Is(err, fs.ErrNotExist):
		if err := n.creatable(o); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("localnet: %w", err)
	}
	if err := n.lock(); err != nil {
		return nil, err
	}
	if made {
		if err = n.read(); err == nil {
			err = n.agrees(o)
		}
	} else if err = n.create(o); err != nil {
		err = errors.Join(err, n.clear())
	}
	if err != nil {
		return nil, errors.Join(err, n.unlock())
	}
	return n, nil
}

// clear removes what a network that could not be made has left in its folder, which was empty: the
// next attempt finds it so.
func (n *Network) clear() error {
	entries, err := os.ReadDir(n.Home)
	for _, e := range entries {
		if e.Name() != lockFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(n.Home, e.Name())))
		}
	}
	return err
}

// lock keeps a second local network off the folder, which would give the first one's processes
// other ports.
func (n *Network) lock() (err error) {
	if err := durable.MkdirAll(n.Home, 0o755); err != nil {
		return fmt.Errorf("localnet: %w", err)
	}
	n.unlock, err = durable.Lock(filepath.Join(n.Home, lockFile))
	if held, ok := errors.AsType[*durable.Held](err); ok {
		return fmt.Errorf("localnet: %s runs the network in %s already: stop that one first, or "+
			"name another --home", held.Holder(), n.Home)
	} else if err != nil {
		return fmt.Errorf("localnet: %w", err)
	}
	return nil
}

// agrees refuses flags that contradict the network that is in the folder: it keeps what it was made
// with.
func (n *Network) agrees(o Options) error {
	cheat := n.Members[len(n.Members)-1].Cheat
	pool, err := n.pools()
	if err != nil {
		return err
	}
	with := "without a pool"
	if pool {
		with = "with a pool"
	}
	for _, c := range []struct {
		flag, asked, has string
		same             bool
	}{
		{"participants", fmt.Sprintf("--participants %d", o.Participants),
			"with " + count(len(n.Members), "participant"), o.Participants == len(n.Members)},
		{"cheat", "--cheat " + cmp.Or(o.Cheat, adversary.None), "with --cheat " + cheat,
			cmp.Or(o.Cheat, adversary.None) == cheat},
		{"pool", fmt.Sprintf("--pool=%t", o.Pool), with, o.Pool == pool},
	} {
		if slices.Contains(o.Asked, c.flag) && !c.same {
			return fmt.Errorf("localnet: %s: the network in %s was made %s, and keeps it: leave "+
				"the flag out to go on with that network, or name another --home for a new one",
				c.asked, n.Home, c.has)
		}
	}
	return nil
}

// pools reports whether the first member's host has a pool.
func (n *Network) pools() (bool, error) {
	c, err := host.Load(n.Members[0].Home)
	if err != nil {
		return false, err
	}
	return c.Pool != nil && c.Pool.Enabled, nil
}

// Start chooses free ports, writes them down and starts every process; it returns when all nodes
// answer.
func (n *Network) Start(ctx context.Context) error { return n.start(ctx, Node, Host, Worker) }

// StartNodes is Start for a chain without anybody who computes: no hosts, no workers.
func (n *Network) StartNodes(ctx context.Context) error { return n.start(ctx, Node) }

func (n *Network) start(ctx context.Context, roles ...Role) error {
	if err := n.launch(roles...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the nodes did not "+
		"answer within two minutes"))
	defer cancel()
	for i, m := range n.Members {
		q, err := n.Sprint(i)
		if err != nil {
			return err
		}
		if err := Until(ctx, m.Name+" node", func() (bool, error) {
			if err := n.Check(); err != nil {
				return true, err
			}
			_, err := q.Current(ctx, &sprintv1.QueryCurrentRequest{})
			return err == nil, err
		}); err != nil {
			return err
		}
	}
	return n.Check()
}

// launch starts every process of some roles.
func (n *Network) launch(roles ...Role) error {
	if err := n.refresh(); err != nil {
		return err
	}
	for _, role := range roles {
		for i := range n.Members {
			if err := n.StartProcess(i, role); err != nil {
				return err
			}
		}
	}
	return nil
}

// Stop ends every process in order: workers, hosts, nodes. The network is not used after it.
func (n *Network) Stop() {
	for _, role := range []Role{Worker, Host, Node} {
		done := make(chan struct{})
		for _, m := range n.Members {
			go func() {
				n.crew.Of(m.Name, string(role)).Signal(syscall.SIGTERM)
				done <- struct{}{}
			}()
		}
		for range n.Members {
			<-done
		}
	}
	n.connected.Lock()
	for _, c := range n.conns {
		_ = c.Close()
	}
	n.conns = map[int]*grpc.ClientConn{}
	n.connected.Unlock()
	_ = n.unlock() // the end of the process mends what it may say
}

// Check reports the first process that ended without being asked to.
func (n *Network) Check() error { return n.crew.Check() }

// Kill ends one process at once, as a power cut would.
func (n *Network) Kill(i int, role Role) {
	n.crew.Of(n.Members[i].Name, string(role)).Signal(syscall.SIGKILL)
}

// StartProcess starts one process of a member.
func (n *Network) StartProcess(i int, role Role) error {
	m := n.Members[i]
	args, err := n.args(i, role)
	if err != nil {
		return err
	}
	p := n.crew.Of(m.Name, string(role))
	p.Log, p.Args = filepath.Join(m.Home, string(role)+".log"), args
	return p.Start(n.crew.Program)
}

// args are the command lines of the three roles.
func (n *Network) args(i int, role Role) ([]string, error) {
	m := n.Members[i]
	switch role {
	case Node:
		return []string{"node", "--home", m.Home}, nil
	case Host:
		args := []string{"host", "--home", m.Home}
		if m.Cheat != "" && m.Cheat != adversary.None {
			args = append(args, "--cheat", m.Cheat)
		}
		return args, nil
	case Worker:
		url, err := m.URL()
		if err != nil {
			return nil, err
		}
		// Workers of a local network share a machine, and leave its GPUs to others.
		args := []string{"localnet", "worker", "start", "--host", url, "--home",
			filepath.Join(m.Home, "worker"), "--device", "cpu",
			"--threads", fmt.Sprint(max(1, runtime.NumCPU()/len(n.Members))), "--nice", "19"}
		switch m.Cheat {
		case adversary.Forge, adversary.Skip, adversary.Reuse:
			victim := n.Members[0]
			args = append([]string{"localnet", "worker", "--cheat",
				strings.Join([]string{m.Cheat, n.Chain, m.Address, NodeID, victim.Address, NodeID},
					":")}, args[2:]...)
		}
		return args, nil
	}
	return nil, fmt.Errorf("localnet: no role %q", role)
}

// URL is what workers of a member's host are started with.
func (m *Member) URL() (string, error) {
	c, err := host.Load(m.Home)
	if err != nil {
		return "", err
	}
	key, err := hostcli.Key(m.Home)
	if err != nil {
		return "", err
	}
	return hostcli.URL(c, key), nil
}

// Sprint returns a client of a member's node.
func (n *Network) Sprint(i int) (sprintv1.QueryClient, error) {
	conn, err := n.Conn(i)
	if err != nil {
		return nil, err
	}
	return sprintv1.NewQueryClient(conn), nil
}

// Court returns a client of a member's node.
func (n *Network) Court(i int) (courtv1.QueryClient, error) {
	conn, err := n.Conn(i)
	if err != nil {
		return nil, err
	}
	return courtv1.NewQueryClient(conn), nil
}

// Client returns a client of any node by its gRPC address.
func Client(address string) (sprintv1.QueryClient, error) {
	conn, err := client.DialNode(address)
	if err != nil {
		return nil, err
	}
	return sprintv1.NewQueryClient(conn), nil
}

// Conn returns a connection to a member's node.
func (n *Network) Conn(i int) (*grpc.ClientConn, error) {
	n.connected.Lock()
	defer n.connected.Unlock()
	if c := n.conns[i]; c != nil {
		return c, nil
	}
	conn, err := client.DialNode(n.Members[i].GRPC)
	if err != nil {
		return nil, err
	}
	n.conns[i] = conn
	return conn, nil
}

// Status asks a member's host what it does.
func (m *Member) Status(ctx context.Context) (host.Status, error) {
	return hostcli.Fetch(ctx, m.StatusAddress)
}

// Tail returns the last lines of a file.
func Tail(path string, lines int) string { return crew.Tail(path, lines) }

// executable returns the program to start children from: this one.
func executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("localnet: own executable: %w", err)
	}
	return filepath.EvalSymlinks(path)
}

// Until calls check four times a second until it is true.
func Until(ctx context.Context, what string, check func() (bool, error)) error {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		ok, err := check()
		if ok {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("localnet: waiting for %s: %w", what, context.Cause(ctx)),
				last)
		case <-ticker.C:
		}
	}
}
