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

func (c Command) start(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	f := c.flags("start", stderr)
	host := f.String("host", os.Getenv("ASSAY_HOST"), "the host's URL, assay://host:port#fingerprint; default from ASSAY_HOST")
	home := homeFlag(f)
	chosen := c.deviceFlag(f)
	threads := f.Int("threads", 0, "cores that the cpu device uses; 0 is all")
	limit := f.Int64("temp-limit", 85, "pause a device at so many °C; 0 is no limit. The cpu, which slows itself down, only if this is given")
	resume := f.Int64("temp-resume", 75, "and go on when it is below so many")
	payout := f.String("payout", os.Getenv("ASSAY_PAYOUT"), "the account on the chain, cpc1..., that a pool pays to; default from ASSAY_PAYOUT")
	node := f.String("node", os.Getenv("ASSAY_NODE"), "a node of the chain, such as http://192.0.2.7:26657, that is asked whether the host's payments are there; default from ASSAY_NODE. Without one the host's signed word lets paid receipts go")
	acceptLoss := f.Bool("accept-loss", false, "go on although files of the home are missing or damaged; they are set aside")
	noPool := f.Bool("no-pool", false, "take no challenges between sprints")
	selfAudit := f.Uint64("self-audit", 0, "compute one unit in so many twice, and stop a device that gives two results; 0 is 256")
	listen := f.String("listen", "", "serve /status and /metrics here, such as 127.0.0.1:4780")
	plain := f.Bool("plain", false, "print log lines on a terminal too")
	nice := f.Int("nice", 0, "lower this process's priority by 0..19")
	asJSON := f.Bool("json", false, "print events, one JSON object a line; the same as --log-format json")
	format := f.String("log-format", logs.Text, logs.Formats)
	verbose := f.Bool("v", false, "print what the Sprint is at between segments too, and log connections to standard error")
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "%s works for a host until it is stopped.\n\n", f.Name())
		f.PrintDefaults()
		fmt.Fprintf(f.Output(), "\nEvents of --json, by type, with time and:\n%s", worker.Events)
	}
	if err := parse(f, args); err != nil {
		return err
	}
	*host, *payout = unquoted(*host), unquoted(*payout)
	if *host == "" {
		fmt.Fprintf(stderr, "%s: --host is missing; the host prints its URL when it starts, and on: assay host url\n", f.Name())
		return errUsage
	}
	hot := limits{limit: *limit, resume: *resume}
	f.Visit(func(g *flag.Flag) { hot.asked = hot.asked || g.Name == "temp-limit" })
	if hot.limit != 0 && hot.resume >= hot.limit {
		fmt.Fprintf(stderr, "%s: --temp-resume %d is not below --temp-limit %d\n", f.Name(), hot.resume, hot.limit)
		return errUsage
	}
	if *threads < 0 {
		fmt.Fprintf(stderr, "%s: --threads %d is less than none; 0 is all cores\n", f.Name(), *threads)
		return errUsage
	}
	if *listen != "" {
		if _, _, err := net.SplitHostPort(*listen); err != nil {
			fmt.Fprintf(stderr, "%s: --listen %s is no address; say one such as 127.0.0.1:4780\n", f.Name(), *listen)
			return errUsage
		}
	}
	loud, err := logs.New(stderr, "info", *format)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", f.Name(), err)
		return errUsage
	}
	*asJSON = *asJSON || *format == logs.JSON
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(quiet.New(loud.Handler()))
	}
	begun := false
	var quiet between
	show := func(e worker.Event) {
		if !begun { // a snapshot, of which the next events say everything
			begun = true
			return
		}
		if e.Type == "stopped" { // why is said by the program's last words
			e.Reason = ""
		}
		if quiet.again(e) && !*verbose {
			return
		}
		if text := e.Text(); text != "" {
			fmt.Fprintln(stdout, logs.Line(e.Time.Local(), slog.LevelInfo, text))
		}
	}
	out, terminal := stdout.(*os.File)
	if terminal = terminal && !*asJSON && !*plain && !*verbose; terminal {
		_, terminal = picture.Usable(out, os.Environ())
	}
	if *asJSON {
		out := json.NewEncoder(stdout)
		show = func(e worker.Event) { _ = out.Encode(e) }
	}
	if *payout != "" {
		if err := checkPayout(*payout); err != nil {
			return err
		}
	}
	if _, err := link.ParseAddress(*host); err != nil { // before devices are warmed up
		return err
	}
	if err := c.begun(*home); err != nil && !*acceptLoss {
		return err
	}
	sensors := c.sensors()
	choice, err := c.await(ctx, *chosen, sensors, func(err error) {
		fmt.Fprintf(stderr, "%s: waiting for a device, which is looked for every %v: %v\n", c.Name, lookTime, err)
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
	if *payout == "" && !*noPool {
		fmt.Fprintf(stderr, "%s: no --payout: a pool owes what this machine earns, and pays once an account (cpc1...) is named\n", c.Name)
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
		URL: *host, Home: *home, Devices: devices(choice, sensors, *threads, hot), Nice: *nice,
		NoPool: *noPool, Payout: *payout, Node: unquoted(*node), AcceptLoss: *acceptLoss, SelfAudit: *selfAudit,
		Agent: "assay-worker/" + version(), Logger: log, Event: show, Pause: pause,
	}
	var beside errgroup.Group
	if *listen != "" {
		l, err := net.Listen("tcp", *listen)
		if err != nil {
			return errors.Join(fmt.Errorf("--listen: %w", err), choice.Close())
		}
		beside.Go(func() error { return monitor.Serve(ctx, l, live.status, say) })
	}
	config.Live = func(get func() worker.Status) {
		live.set(get)
		answer(ctx, &beside, *home, live.status, say, func(err error) { fmt.Fprintln(stderr, c.reached(err)) })
	}
	if terminal {
		config.Event = nil
		keys := screen.Control{Pause: func() { say(true) }, Resume: func() { say(false) }, Quit: quit}
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
	return fmt.Sprintf("%s: %s status cannot reach this worker, which tries again (--listen is another way): %v%s", c.Name, c.Name, err, next)
}

// begun refuses a folder that is there and holds no key: it may be the empty place of a disk that is not
// mounted, and a new key would make another machine of this one. A home that does not exist is made.
func (c Command) begun(home string) error {
	if _, err := os.Stat(filepath.Join(home, worker.KeyFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil // there, or reading it says why not
	}
	list, err := os.ReadDir(home)
	if err != nil || len(list) > 0 && slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == worker.HomeFile }) {
		return nil // not there, or the worker says what is lost
	}
	return fmt.Errorf("%s holds no key: if it is on a disk that is not mounted, mount it; to make this machine a new worker in it, run %s id --home %s first", home, c.Name, home)
}

// between finds what only the network is at: which of its phases a worker without a
// segment waits through is no news of this machine.
type between bool

// again tells whether an event says once more that there is no segment.
func (b *between) again(e worker.Event) bool {
	was := bool(*b)
	switch {
	case e.Device != "":
		return false
	case e.Type == "idle" || e.Type == "proving":
		*b = true
		return was
	case slices.Contains([]string{"connecting", "registering", "disconnected", "building", "ready", "computing", "rerunning", "paused", "faulted"}, e.Type):
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
