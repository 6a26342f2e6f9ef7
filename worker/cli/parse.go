// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/assaynet/assay/internal/usage"
)

// names are the commands that people call.
var names = []string{"start", "status", "pause", "resume", "bench", "doctor", "id", "version",
	"completion", "help"}

// listFlags is an argument nobody types: a command that gets it returns its flags instead of
// running.
const listFlags = "\x00flags"

// declared carries them.
type declared struct{ *flag.FlagSet }

func (declared) Error() string { return "flags" }

// flagsOf returns the flags of a command, nil if it has none.
func (c Command) flagsOf(name string) *flag.FlagSet {
	err := c.dispatch(context.Background(), []string{name, listFlags}, strings.NewReader(""),
		io.Discard, io.Discard)
	if d, ok := errors.AsType[declared](err); ok {
		return d.FlagSet
	}
	return nil
}

// parse reads a command's flags. A mistake is told in a line.
func parse(f *flag.FlagSet, args []string) error {
	if len(args) == 1 && args[0] == listFlags {
		return declared{f}
	}
	out, help := f.Output(), f.Usage
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	err := f.Parse(args)
	f.SetOutput(out)
	f.Usage = help
	switch {
	case errors.Is(err, flag.ErrHelp):
		help()
		return err
	case err == nil && f.NArg() > 0:
		err = fmt.Errorf("takes no argument, and %q is one", f.Arg(0))
	case err != nil:
		err = errors.New(flagSentence(f, err.Error()))
	default:
		return nil
	}
	fmt.Fprintf(out, "%s: %v; see %s -h\n", f.Name(), err, f.Name())
	return errUsage
}

var badValue = regexp.MustCompile(
	`^invalid (?:boolean )?value "(.*)" for (?:flag )?-([\w-]+): (.*)$`)

// flagSentence says what is wrong with a flag.
func flagSentence(f *flag.FlagSet, text string) string {
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		var known []string
		f.VisitAll(func(g *flag.Flag) { known = append(known, g.Name) })
		sentence := "no flag --" + name
		if near := usage.Near(name, known); near != "" {
			sentence += ", perhaps --" + near
		}
		return sentence
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return "--" + name + " needs a value"
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		reason := m[3]
		if reason == "parse error" {
			reason = "want a number"
		}
		if strings.HasPrefix(text, "invalid boolean") {
			reason = "want true or false"
		}
		return fmt.Sprintf("--%s %q: %s", m[2], m[1], reason)
	}
	return text
}

// unknown tells that there is no such command.
func (c Command) unknown(stderr io.Writer, name string) {
	sentence := fmt.Sprintf("no command %q", name)
	if near := usage.Near(name, names); near != "" {
		sentence += ", perhaps " + near
	}
	fmt.Fprintf(stderr, "%s: %s; see %s help\n", c.Name, sentence, c.Name)
}

// isBool reports whether a flag takes no value.
func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// withPrefix returns those of a list that begin so.
func withPrefix(list []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(list),
		func(s string) bool { return !strings.HasPrefix(s, prefix) })
}
