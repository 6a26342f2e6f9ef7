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
	"os"
	"path/filepath"
	"runtime/debug"

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
// exit code: 0, 1 when it failed, 2 when it was misused. Standard input is read
// for keys only, by start on a terminal.
func (c Command) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := c.dispatch(ctx, args, stdin, stdout, stderr)
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

func (c Command) dispatch(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "start":
		return c.start(ctx, args, stdin, stdout, stderr)
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
