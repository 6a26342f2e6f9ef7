// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/internal/disk"
)

// Code is what a node's program exits with.
type Code int

// The codes, for those who supervise nodes. 2 is left to the Go runtime.
const (
	Stopped   Code = 0
	Failed    Code = 1
	Consensus Code = 3
	Disk      Code = 4
	Halt      Code = 5
	Upgrade   Code = 6
	Release   Code = 7
)

// codes with their meaning and with what helps.
var codes = []struct {
	code    Code
	meaning string
}{
	{Stopped, "it was told to stop"},
	{Failed, "it could not start, or a part of it failed; a restart may help"},
	{Consensus, "it cannot follow the chain's blocks; a restart alone does not help"},
	{Disk, "its data cannot be written; free space, then start it again"},
	{Halt, "halt-height or halt-time of app.toml is reached"},
	{Upgrade, "an upgrade is due that this release cannot run; install the next release"},
	{Release, "this release is for after an upgrade that is not due, or from before one that ran"},
}

// Codes lists the exit codes for a help text.
func Codes() string {
	var b strings.Builder
	for _, c := range codes {
		fmt.Fprintf(&b, "  %d  %s\n", c.code, c.meaning)
	}
	return b.String()
}

// Exit is why a node ended by itself and what its operator can do. It is an error
// that wraps its cause.
type Exit struct {
	Code Code
	// Height of the block that the node did not get beyond, 0 if it did not start.
	Height int64
	// What happened, and what comes Next, as sentences without their full stop.
	What, Next string
	Err        error
}

func (e *Exit) Error() string {
	text := "node: cannot start: "
	if e.Height > 0 {
		text = fmt.Sprintf("node: stopped at block %d: ", e.Height)
	}
	text += e.What
	if e.Err != nil {
		text += fmt.Sprintf(" (%v)", e.Err)
	}
	return fmt.Sprintf("%s. The blocks before it are on disk. %s.", text, e.Next)
}

// Unwrap gives the cause.
func (e *Exit) Unwrap() error { return e.Err }

// ExitCode is the code of the node's program.
func (e *Exit) ExitCode() int { return int(e.Code) }

// halted is the exit of a node whose configuration ends before a block.
func halted(config home.Config, height int64, seconds int64) *Exit {
	c := config.App
	switch {
	case c.HaltHeight > 0 && uint64(height) >= c.HaltHeight:
		return &Exit{Code: Halt, What: fmt.Sprintf("halt-height %d in app.toml is reached",
			c.HaltHeight), Next: "Set halt-height to 0 and start the node again to go on"}
	case c.HaltTime > 0 && seconds >= int64(c.HaltTime):
		return &Exit{Code: Halt, What: fmt.Sprintf("halt-time %d in app.toml is reached",
			c.HaltTime), Next: "Set halt-time to 0 and start the node again to go on"}
	}
	return nil
}

// misfit is the exit of a node whose release does not fit the chain's upgrades.
func misfit(a *app.App, height int64) *Exit {
	t, err := a.UpgradeTrouble(height)
	if err != nil {
		return nil // whatever keeps the state from being read is the reason
	}
	switch t.Kind {
	case app.TooOld:
		what := fmt.Sprintf("upgrade %q is due, and this release cannot run it", t.Name)
		if t.Info != "" {
			what += fmt.Sprintf("; its plan says: %.300s", t.Info)
		}
		return &Exit{Code: Upgrade, What: what, Next: fmt.Sprintf(
			"Install the release with this upgrade and start the node again; if the validators "+
				"have agreed to go on without it, set unsafe-skip-upgrades = [%d] in app.toml",
			t.Height)}
	case app.TooEarly:
		return &Exit{Code: Release, What: fmt.Sprintf("this release is for after upgrade %q, "+
			"which runs at block %d", t.Name, t.Height),
			Next: fmt.Sprintf("Start the release before it again, until it stops at block %d",
				t.Height)}
	case app.Outdated:
		return &Exit{Code: Release, What: fmt.Sprintf("the chain ran upgrade %q at block %d, and "+
			"this release is from before it", t.Name, t.Height),
			Next: "Install the release with this upgrade, or a later one, and start the node again"}
	}
	return nil
}

// ended is the exit of a node that a failure ended: its disk is the reason, or nothing else
// explains it.
func ended(dir string, cause error) *Exit {
	if exit := full(dir, cause); exit != nil {
		return exit
	}
	return unable(cause)
}

// full is the exit of a node whose data cannot be written, as its failure says or
// as one more attempt shows: a database may report the first failure only.
func full(dir string, cause error) *Exit {
	if !disk.Full(cause) {
		probe := writable(dir)
		if probe == nil {
			return nil
		}
		cause = fmt.Errorf("%w, after: %w", probe, cause)
	}
	return unwritable(dir, cause)
}

func unwritable(dir string, cause error) *Exit {
	return &Exit{Code: Disk, What: dir + " cannot be written", Err: cause,
		Next: "Free some space, or repair the disk, and start the node again; it completes what " +
			"was cut short"}
}

// writable tries to write and to flush a mebibyte.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, "probe-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 1<<20))
	if err == nil {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close(), os.Remove(f.Name()))
}

// unable is the exit of a node that nothing else explains.
func unable(cause error) *Exit {
	return &Exit{Code: Consensus, What: "this node cannot go on with the chain", Err: cause,
		Next: "Compare its release and its genesis with those of the other validators; `assay " +
			"rollback` takes its state back by a block, which a start then runs again. Keep " +
			"data/priv_validator_state.json in any case: without it the node may sign twice"}
}
