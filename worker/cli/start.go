// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/internal/logs"
	"github.com/assaynet/assay/internal/quiet"
	picture "github.com/assaynet/assay/internal/terminal"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/monitor"
	"github.com/assaynet/assay/worker/screen"
)

// order is what the flags of start ask for.
type order struct {
	host, home, payout, node, listen, format   string
	devices                                    deviceList
	threads, nice                              int
	heat                                       limits
	selfAudit                                  uint64
	acceptLoss, noPool, plain, asJSON, verbose bool
}

// order reads the flags of start. What cannot be is said on stderr, and is an errUsage.
func (c Command) order(args []string, stderr io.Writer) (o order, err error) {
	f := c.flags("start", stderr)
	f.StringVar(&o.host, "host", os.Getenv("ASSAY_HOST"), "the host's URL, "+
		"assay://host:port#fingerprint; default from ASSAY_HOST")
	home, devices := homeFlag(f), c.deviceFlag(f)
	f.IntVar(&o.threads, "threads", 0, "cores that the cpu device uses; 0 is all")
	f.Int64Var(&o.heat.limit, "temp-limit", 85, "pause a device at this temperature in °C; 0 is "+
		"no limit. The cpu, which slows itself down, only if this is given")
	f.Int64Var(&o.heat.resume, "temp-resume", 75, "and go on when it is below this one")
	f.StringVar(&o.payout, "payout", os.Getenv("ASSAY_PAYOUT"), "the account on the chain, "+
		"cpc1..., that a pool pays to; default from ASSAY_PAYOUT")
	f.StringVar(&o.node, "node", os.Getenv("ASSAY_NODE"), "a node of the chain, such as "+
		"http://192.0.2.7:26657, that is asked whether the host's payments are there; default "+
		"from ASSAY_NODE. Without one the host's signed word lets paid receipts go")
	f.BoolVar(&o.acceptLoss, "accept-loss", false, "go on although files of the home are missing "+
		"or damaged; they are set aside")
	f.BoolVar(&o.noPool, "no-pool", false, "take no challenges between sprints")
	f.Uint64Var(&o.selfAudit, "self-audit", 0, "recompute one unit in so many, and stop a device "+
		"whose results differ; 0 is 256")
	f.StringVar(&o.listen, "listen", "", "serve /status and /metrics here, such as 127.0.0.1:4780")
	f.BoolVar(&o.plain, "plain", false, "print log lines on a terminal too")
	f.IntVar(&o.nice, "nice", 0, "lower this process's priority by 0..19")
	f.BoolVar(&o.asJSON, "json", false, "print events, one JSON object a line; the same as "+
		"--log-format json")
	f.StringVar(&o.format, "log-format", logs.Text, logs.Formats)
	f.BoolVar(&o.verbose, "v", false, "also print the Sprint's phase between segments, and log "+
		"connections to standard error")
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "%s works for a host until it is stopped.\n\n", f.Name())
		f.PrintDefaults()
		fmt.Fprintf(f.Output(), "\nEvents of --json, by type, with time and:\n%s", worker.Events)
	}
	if err := parse(f, args); err != nil {
		return o, err
	}
	f.Visit(func(g *flag.Flag) { o.heat.asked = o.heat.asked || g.Name == "temp-limit" })
	o.home, o.devices = *home, *devices
	o.host, o.payout, o.node = unquoted(o.host), unquoted(o.payout), unquoted(o.node)
	if wrong := o.wrong(); wrong != "" {
		fmt.Fprintf(stderr, "%s: %s\n", f.Name(), wrong)
		return o, errUsage
	}
	o.asJSON = o.asJSON || o.format == logs.JSON
	if o.payout != "" {
		if err := checkPayout(o.payout); err != nil {
			return o, err
		}
	}
	_, err = link.ParseAddress(o.host) // before devices are warmed up
	return o, err
}

// wrong says what cannot be, empty if nothing.
func (o order) wrong() string {
	switch {
	case o.host == "":
		return "--host is missing; the host prints its URL when it starts, and on: assay host url"
	case o.heat.limit != 0 && o.heat.resume >= o.heat.limit:
		return fmt.Sprintf("--temp-resume %d is not below --temp-limit %d",
			o.heat.resume, o.heat.limit)
	case o.threads < 0:
		return fmt.Sprintf("--threads must be 0 (all cores) or more, not %d", o.threads)
	}
	if o.listen != "" {
		if _, _, err := net.SplitHostPort(o.listen); err != nil {
			return fmt.Sprintf("--listen %q is not a host:port address; say one such as "+
				"127.0.0.1:4780", o.listen)
		}
	}
	if _, err := logs.New(io.Discard, "info", o.format); err != nil {
		return err.Error()
	}
	return ""
}

// shows returns what prints events.
func (o order) shows(stdout io.Writer) func(worker.Event) {
	if o.asJSON {
		out := json.NewEncoder(stdout)
		return func(e worker.Event) { _ = out.Encode(e) }
	}
	begun := false
	var quiet between
	return func(e worker.Event) {
		if !begun { // a snapshot, of which the next events say everything
			begun = true
			return
		}
		if e.Type == "stopped" { // why is said by the program's last words
			e.Reason = ""
		}
		if quiet.again(e) && !o.verbose {
			return
		}
		if text := e.Text(); text != "" {
			fmt.Fprintln(stdout, logs.Line(e.Time.Local(), slog.LevelInfo, text))
		}
	}
}

// logger is where the worker's own log goes: nowhere, unless it is asked for.
func (o order) logger(stderr io.Writer) (*slog.Logger, error) {
	if !o.verbose {
		return slog.New(slog.DiscardHandler), nil
	}
	loud, err := logs.New(stderr, "info", o.format)
	if err != nil {
		return nil, err
	}
	return slog.New(quiet.New(loud.Handler())), nil
}

// terminal returns the terminal that the screen is shown on; nil where log lines are.
func (o order) terminal(stdout io.Writer) *os.File {
	out, ok := stdout.(*os.File)
	if !ok || o.asJSON || o.plain || o.verbose {
		return nil
	}
	if _, usable := picture.Usable(out, os.Environ()); !usable {
		return nil
	}
	return out
}

func (c Command) start(ctx context.Context, args []string, stdin io.Reader, stdout,
	stderr io.Writer) error {
	o, err := c.order(args, stderr)
	if err != nil {
		return err
	}
	log, err := o.logger(stderr)
	if err != nil {
		return err
	}
	if err := c.begun(o.home); err != nil && !o.acceptLoss {
		return err
	}
	sensors := c.sensors()
	choice, err := c.await(ctx, o.devices, sensors, func(err error) {
		fmt.Fprintf(stderr, "%s: waiting for a device, which is looked for every %v: %v\n",
			c.Name, lookTime, err)
	})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	for _, note := range choice.Notes {
		fmt.Fprintf(stderr, "%s: %s\n", c.Name, note)
	}
	if o.payout == "" && !o.noPool {
		fmt.Fprintf(stderr, "%s: no --payout: a pool owes what this machine earns, and pays once "+
			"an account (cpc1...) is named\n", c.Name)
	}
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	var live source
	pause := make(chan bool)
	say := func(paused bool) {
		select {
		case pause <- paused:
		case <-ctx.Done():
		}
	}
	config := worker.Config{
		URL: o.host, Home: o.home, Devices: devices(choice, sensors, o.threads, o.heat),
		Nice:   o.nice,
		NoPool: o.noPool, Payout: o.payout, Node: o.node, AcceptLoss: o.acceptLoss,
		SelfAudit: o.selfAudit,
		Agent:     "assay-worker/" + version(), Logger: log, Event: o.shows(stdout), Pause: pause,
	}
	var beside errgroup.Group
	if o.listen != "" {
		l, err := net.Listen("tcp", o.listen)
		if err != nil {
			return errors.Join(fmt.Errorf("--listen: %w", err), choice.Close())
		}
		beside.Go(func() error { return monitor.Serve(ctx, l, live.status, say) })
	}
	config.Live = func(get func() worker.Status) {
		live.set(get)
		answer(ctx, &beside, o.home, live.status, say,
			func(err error) { fmt.Fprintln(stderr, c.reached(err)) })
	}
	if out := o.terminal(stdout); out != nil {
		config.Event = nil
		keys := screen.Control{Pause: func() {
			say(true)
		}, Resume: func() { say(false) }, Quit: quit}
		beside.Go(func() error {
			defer quit() // a terminal that is gone ends the worker
			return screen.Run(ctx, live.status, keys, stdin, out, os.Environ())
		})
	}
	err = worker.Run(ctx, config)
	quit()
	return errors.Join(err, beside.Wait(), choice.Close())
}

// reached says why status cannot reach the worker, or with nil that it can again.
func (c Command) reached(err error) string {
	if err == nil {
		return fmt.Sprintf("%s: %s status reaches this worker again", c.Name, c.Name)
	}
	next := ""
	if disk.Full(err) {
		next = "; free some space on its disk"
	}
	return fmt.Sprintf("%s: %s status cannot reach this worker, which tries again (--listen is "+
		"another way): %v%s", c.Name, c.Name, err, next)
}

// begun refuses a folder that is there and holds no key: it may be the empty place of a disk that
// is not mounted, and a new key would make another machine of this one. A home that does not exist
// is made.
func (c Command) begun(home string) error {
	if _, err := os.Stat(filepath.Join(home, worker.KeyFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil // there, or reading it says why not
	}
	list, err := os.ReadDir(home)
	if err != nil || len(list) > 0 && slices.ContainsFunc(list,
		func(e fs.DirEntry) bool { return e.Name() == worker.HomeFile }) {
		return nil // not there, or the worker says what is lost
	}
	return fmt.Errorf("%s holds no key: if it is on a disk that is not mounted, mount it; to "+
		"make this machine a new worker in it, run %s id --home %s first", home, c.Name, home)
}

// between finds what only the network is at: which of its phases a worker without a
// segment waits through is no news of this machine.
type between bool

// again reports whether an event says once more that there is no segment.
func (b *between) again(e worker.Event) bool {
	was := bool(*b)
	switch {
	case e.Device != "":
		return false
	case e.Type == "idle" || e.Type == "mining":
		*b = true
		return was
	case slices.Contains([]string{"connecting", "registering", "disconnected", "building", "ready",
		"computing", "rerunning", "paused", "faulted"}, e.Type):
		*b = false
	}
	return false
}

// source gives the worker's status once there is a worker.
type source struct {
	get atomic.Pointer[func() worker.Status]
}

func (s *source) set(get func() worker.Status) { s.get.Store(&get) }

func (s *source) status() worker.Status {
	if get := s.get.Load(); get != nil {
		return (*get)()
	}
	return worker.Status{State: "testing", Reason: "starting"}
}
