// SPDX-License-Identifier: Apache-2.0

// Package cli is the worker's command line. It is a package so that two
// programs offer the very same commands: assay-worker, which is all a machine
// needs, and assay, whose local networks start workers as children.
//
//	start   work for a host
//	bench   how fast each device is, and where its time goes
//	doctor  what works, what does not, and what to do about it
//	id      print this machine's key, for the host's owner to allow
//
// With --json every command prints JSON documents, one per line, and nothing
// else, on its standard output. Nothing ever prompts.
package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/worker"
)

// Exit codes.
const (
	ok     = 0
	failed = 1
	misuse = 2
)

// errUsage has been explained to the user already.
var errUsage = errors.New("usage")

// Command is the worker's commands under one name and over some devices. They
// are opened by the commands that compute.
type Command struct {
	// Name is how the user calls it: "assay-worker", or "assay worker".
	Name string
	// Backends offer devices, and Default is what --device is where it is not given:
	// empty for every GPU that works.
	Backends []device.Backend
	Default  string
	// Engine stands for the processor, and no other device is offered.
	Engine work.Engine
	// Sys is where sensors are looked for; empty is /sys.
	Sys string
}

// Run executes one command line, without the program's name, and returns the
// exit code: 0, 1 when it failed, 2 when it was misused. No command reads its
// standard input.
func (c Command) Run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	err := c.dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return ok
	case errors.Is(err, errUsage):
		return misuse
	case errors.Is(err, errUnfit):
		return failed // the report says all
	}
	fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
	return failed
}

func (c Command) dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "start":
		return c.start(ctx, args, stdout, stderr)
	case "id":
		return c.id(args, stdout, stderr)
	case "bench":
		return c.bench(ctx, args, stdout, stderr)
	case "doctor":
		return c.doctor(ctx, args, stdout, stderr)
	case "help", "-h", "-help", "--help":
		c.usage(stdout)
		return nil
	case "":
		c.usage(stderr)
	default:
		fmt.Fprintf(stderr, "%s: no command %q\n\n", c.Name, name)
		c.usage(stderr)
	}
	return errUsage
}

func (c Command) usage(w io.Writer) {
	fmt.Fprintf(w, `%[1]s turns this machine into a worker of an Assay host.

  %[1]s start --host URL    work for a host (it prints the URL)
  %[1]s bench               how fast each device is, and where its time goes
  %[1]s doctor              what works, what does not, and what to do about it
  %[1]s id                  print this machine's key, for the host's owner to allow

%[1]s COMMAND -h lists the options of a command.
`, c.Name)
}

// flags makes the flag set of a command.
func (c Command) flags(name string, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet(c.Name+" "+name, flag.ContinueOnError)
	f.SetOutput(stderr)
	return f
}

func parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage // the flag set explained it
	}
	if f.NArg() > 0 {
		fmt.Fprintf(f.Output(), "%s: unexpected argument %q\n", f.Name(), f.Arg(0))
		return errUsage
	}
	return nil
}

func homeFlag(f *flag.FlagSet) *string {
	home := os.Getenv("ASSAY_WORKER_HOME")
	if home == "" {
		if user, err := os.UserHomeDir(); err == nil {
			home = filepath.Join(user, ".assay-worker")
		}
	}
	return f.String("home", home, "directory of the device key; default from ASSAY_WORKER_HOME")
}

func (c Command) start(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := c.flags("start", stderr)
	host := f.String("host", os.Getenv("ASSAY_HOST"), "the host's URL, assay://host:port#fingerprint; default from ASSAY_HOST")
	home := homeFlag(f)
	chosen := deviceFlag(f, c.Default)
	threads := f.Int("threads", 0, "cores that the cpu device uses; 0 is all")
	limit := f.Int64("temp-limit", 85, "pause a device at so many °C; 0 is no limit. The cpu, which slows itself down, only if this is given")
	resume := f.Int64("temp-resume", 75, "and go on when it is below so many")
	nice := f.Int("nice", 0, "lower this process's priority by 0..19")
	asJSON := f.Bool("json", false, "print one JSON status per line")
	verbose := f.Bool("v", false, "log connections to standard error")
	if err := parse(f, args); err != nil {
		return err
	}
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
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(stderr, nil))
	}
	show := func(s worker.Status) { fmt.Fprintf(stdout, "%s  %s\n", time.Now().Format(time.TimeOnly), s.Line()) }
	if *asJSON {
		out := json.NewEncoder(stdout)
		show = func(s worker.Status) {
			_ = out.Encode(struct {
				Time time.Time `json:"time"`
				worker.Status
			}{time.Now().UTC(), s})
		}
	}
	if _, err := link.ParseAddress(*host); err != nil { // before devices are warmed up
		return err
	}
	sensors := c.sensors()
	choice, err := c.choose(ctx, *chosen, sensors)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	for _, note := range choice.Notes {
		fmt.Fprintf(stderr, "%s: %s\n", c.Name, note)
	}
	err = worker.Run(ctx, worker.Config{
		URL: *host, Home: *home, Devices: devices(choice, sensors, *threads, hot), Nice: *nice,
		Agent: "assay-worker/" + version(), Logger: log, Status: show,
	})
	return errors.Join(err, choice.Close())
}

func (c Command) id(args []string, stdout, stderr io.Writer) error {
	f := c.flags("id", stderr)
	home := homeFlag(f)
	asJSON := f.Bool("json", false, "print JSON")
	if err := parse(f, args); err != nil {
		return err
	}
	private, err := worker.Key(*home)
	if err != nil {
		return err
	}
	key := private.Public().(ed25519.PublicKey)
	if *asJSON {
		return json.NewEncoder(stdout).Encode(map[string]string{
			"key": hex.EncodeToString(key), "fingerprint": link.FingerprintOf(key).String(),
		})
	}
	_, err = fmt.Fprintf(stdout, "key          %x\nfingerprint  %s\nallow it     assay host allow %x\n", []byte(key), link.FingerprintOf(key), []byte(key))
	return err
}

// version is the module's, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
