// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of assay-worker, the program of a machine. It is
// a package so that local networks can start workers as children of one program.
//
//	start   work for a host
//	status  what the worker that runs does, why not, and what it has earned
//	pause   stop its computing, until resume
//	bench   how fast each device is, and where its time goes
//	doctor  what works, what does not, and what to do about it
//	id      print this machine's key, for the host's owner to allow
//
// With --json every command prints JSON documents and nothing else on its standard
// output; start prints events, one a line, until it ends:
//
//	snapshot           status: everything, at the start and once a minute
//	testing            reason
//	connecting         reason, next: the host is not reached
//	registering        reason, next: the host does not know this machine yet
//	connected          host
//	joined             chain, node: this machine is a node of the host in the Sprint
//	disconnected       host, reason, next
//	idle, mining       reason, until: what the Sprint is at; mining computes loops meanwhile
//	building, ready    epoch, class, until
//	computing          epoch, segment, class, until; reason where it waits for the host
//	rerunning          samples of others, for the host's verdicts
//	paused, resumed    reason, until; with a device, of that one alone
//	faulted, disabled  reason; with a device, of that one alone
//	warning            device, reason: a temperature limit that cannot act, or a chain without blocks
//	registered         device: its key is the pool's
//	rules              device, reason: what the host pays from the next challenge on
//	challenge          device, challenge, shape, deadline
//	progress           and loops, expected: at most every 10 seconds
//	committed          and loops, deadline: the log is the host's, and cannot be changed
//	accepted           and verified_ops, pay, receipt
//	late, faulty, rejected, unanswered
//	                   and reason, receipt where there is one
//	dropped            and reason: nothing was committed, or a copy of the key committed first
//	receipt_missing    and reason: the host's answer was lost; it is asked again, and told then
//	self_check_failed  device, loops (the one that differs), reason, next
//	abstained          device, challenge, reason: nothing was sent
//	unstable           device, reason, until, next: it rests
//	waiting            device, reason, next: the pool has nothing for it, or does not answer
//	ended              device, reason: it takes no more challenges
//	host_cheats        device, challenge, reason: what shows it was kept
//	paid               device, pay, account
//	missed             reason: the reader was too slow, and some were left out
//	stopped            reason where it is an error, next: what is kept and owed
//
// Every event has time and type; the others where they mean something. Amounts are
// decimal strings in acpc, 10^18 to a CPC. Without --json and a terminal start logs
// the same events as text. Nothing ever prompts.
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
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/internal/build"
	"github.com/assaynet/assay/internal/disk"
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
	// Name is how the user calls it: "assay-worker".
	Name string
	// Backends offer devices.
	Backends []device.Backend
	// Engine stands for the processor, and no other device is offered.
	Engine work.Engine
	// Sys is where sensors are looked for; empty is /sys.
	Sys string

	look time.Duration // between two looks for devices that are not there; 0 is lookTime
}

// Run executes one command line, without the program's name, and returns the
// exit code: 0, 1 when it failed, 2 when it was misused. Standard input is read
// for keys only, by start on a terminal.
func (c Command) Run(ctx context.Context, args []string, stdin io.Reader, stdout,
	stderr io.Writer) int {
	err := c.dispatch(ctx, args, stdin, stdout, stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return ok
	case errors.Is(err, errUsage):
		return misuse
	case errors.Is(err, errUnfit):
		return failed // the report says all
	}
	fmt.Fprintf(stderr, "%s: %v\n", c.Name, disk.Explain(err))
	return failed
}

func (c Command) dispatch(ctx context.Context, args []string, stdin io.Reader, stdout,
	stderr io.Writer) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "start":
		return c.start(ctx, args, stdin, stdout, stderr)
	case "status":
		return c.status(ctx, args, stdout, stderr)
	case "pause", "resume":
		return c.pause(ctx, name, args, stdout, stderr)
	case "version", "-version", "--version":
		_, err := fmt.Fprintf(stdout, "%s %s\n", c.Name, build.Read())
		return err
	case "id":
		return c.id(args, stdout, stderr)
	case "bench":
		return c.bench(ctx, args, stdout, stderr)
	case "doctor":
		return c.doctor(ctx, args, stdout, stderr)
	case "help", "-h", "-help", "--help":
		c.usage(stdout)
		return nil
	case "completion":
		return c.completion(args, stdout, stderr)
	case completeName:
		return c.complete(args, stdout)
	case "manual":
		return c.manual(args, stdout, stderr)
	case "":
		c.usage(stderr)
	default:
		c.unknown(stderr, name)
	}
	return errUsage
}

func (c Command) usage(w io.Writer) {
	fmt.Fprintf(w, `%[1]s turns this machine into a worker of an Assay host.

  %[1]s start --host URL    work for a host (it prints the URL)
  %[1]s status              what it does, why not, and what it has earned
  %[1]s pause, resume       stop its computing, and go on
  %[1]s bench               how fast each device is, and where its time goes
  %[1]s doctor              what works, what does not, and what to do about it
  %[1]s id                  print this machine's key, for the host's owner to allow
  %[1]s version             which program this is
  %[1]s completion SHELL    the script by which bash, zsh or fish complete its commands

%[1]s COMMAND -h lists the options of a command.
`, c.Name)
}

// unquoted is a value that was pasted with the quotes around it, or a blank.
func unquoted(s string) string { return strings.Trim(s, " \t\r\n'\"`‘’“”") }

// does says what the commands do, each in a sentence.
var does = map[string]string{
	"status": "prints what the worker that runs does, why not, and what it has earned",
	"pause": "stops the computing of the worker that runs until resume, or until it is started " +
		"again",
	"resume": "lets a paused worker go on",
	"id": "prints this machine's key, for the host's owner to allow, and makes one where " +
		"there is none",
	"bench": "measures how fast each device is, and where its time goes",
	"doctor": "looks at devices, home and the way to the host, and says what is wrong and what " +
		"to do about it",
}

// flags makes the flag set of a command.
func (c Command) flags(name string, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet(c.Name+" "+name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "%s %s.\n\n", f.Name(), does[name])
		f.PrintDefaults()
	}
	return f
}

func homeFlag(f *flag.FlagSet) *string {
	home := os.Getenv("ASSAY_WORKER_HOME")
	if home == "" {
		if user, err := os.UserHomeDir(); err == nil {
			home = filepath.Join(user, ".assay-worker")
		}
	}
	return f.String("home", home, "directory of this machine's key, receipts and counts; default "+
		"from ASSAY_WORKER_HOME")
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
	_, err = fmt.Fprintf(stdout, "key          %x\nfingerprint  %s\nallow it     assay host "+
		"allow %x\n", []byte(key), link.FingerprintOf(key), []byte(key))
	return err
}

// version is the module's, as the build recorded it.
func version() string { return build.Read().Version }
