// SPDX-License-Identifier: Apache-2.0

// Package commands is what command lines have in common, whatever they do: a mistyped one is
// answered by a sentence and where to look (Strict, Explain), every flag completes (Complete), and
// the same tree gives the manual (Manual).
package commands

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/internal/usage"
)

// Strict makes every command below root, and root itself, refuse what it does not know. A command
// that only groups others prints its help when called alone. Call it once the tree is complete;
// errors of its execution go through Explain.
func Strict(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(c *cobra.Command,
		err error) error {
		return misuse(c, flagSentence(c, err))
	})
	Walk(root, func(c *cobra.Command) {
		c.SilenceUsage = true
		own := c.Args
		switch {
		case c.HasSubCommands() && (own == nil || !c.Runnable()): // a group
			c.DisableFlagParsing, c.DisableFlagsInUseLine = false, true
			c.Args = cobra.ArbitraryArgs
			c.RunE = func(c *cobra.Command, args []string) error {
				if len(args) == 0 {
					return c.Help()
				}
				return unknown(c, args[0])
			}
		case c.HasSubCommands():
			c.Args = func(c *cobra.Command, args []string) error {
				if len(args) > 0 {
					return unknown(c, args[0])
				}
				return nil
			}
		case own != nil && !c.DisableFlagParsing:
			c.Args = func(c *cobra.Command, args []string) error {
				if err := own(c, args); err != nil {
					return misuse(c, argsSentence(c, args, err))
				}
				return nil
			}
		}
	})
}

// Walk calls f for a command and all below it.
func Walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		Walk(sub, f)
	}
}

// Misuse reports a command line that says what its command does not know.
type Misuse struct{ text string }

func (m *Misuse) Error() string { return m.text }

func misuse(c *cobra.Command, sentence string) error {
	return &Misuse{fmt.Sprintf("%s; see %s --help", sentence, c.CommandPath())}
}

func unknown(c *cobra.Command, name string) error {
	c.SuggestionsMinimumDistance = 2
	sentence := fmt.Sprintf("no command %q", name)
	if near := c.SuggestionsFor(name); len(near) > 0 {
		sentence += ", perhaps " + strings.Join(near, " or ")
	}
	return misuse(c, sentence)
}

var (
	badValue = regexp.MustCompile(
		`^invalid argument "(.*)" for "(?:-\w, )?--([\w-]+)" flag: (.*)$`)
	position    = regexp.MustCompile(`^\d+$`)
	placeholder = regexp.MustCompile(`[\[<]([^\]>]+)[\]>]`)
	strconvText = regexp.MustCompile(`^strconv\.\w+: parsing .*: (.*)$`)
	required    = regexp.MustCompile(`^required flag\(s\) (.*) not set$`)
	oneOf       = regexp.MustCompile(
		`^at least one of the flags in the group \[(.*)\] is required$`)
	notBoth = regexp.MustCompile(
		`^if any flags in the group \[(.*)\] are set none of the others can be`)
	allOf = regexp.MustCompile(`^if any flags in the group \[(.*)\] are set they must all be set`)
)

// flagSentence says what is wrong with a flag.
func flagSentence(c *cobra.Command, err error) string {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		sentence := "no flag --" + name
		if near := nearFlag(c, name); near != "" {
			sentence += ", perhaps --" + near
		}
		return sentence
	}
	if name, ok := strings.CutPrefix(text, "unknown shorthand flag: "); ok {
		return "no flag " + name
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return name + " needs a value"
	}
	return valueSentence(c, text)
}

// valueSentence says what is wrong with a value, of a flag or of an argument, which some trees
// parse as a flag named by its place.
func valueSentence(c *cobra.Command, text string) string {
	m := badValue.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	what, reason := "--"+m[2], m[3]
	if position.MatchString(m[2]) {
		what = "argument " + argument(c, m[2])
	}
	if s := strconvText.FindStringSubmatch(reason); s != nil {
		reason = "want a number"
		if f := c.Flags().Lookup(m[2]); f != nil && f.Value.Type() == "bool" {
			reason = "want true or false"
		}
		if s[1] == "value out of range" {
			reason += " within bounds"
		}
	}
	return fmt.Sprintf("%s %q: %s", what, m[1], reason)
}

// argument names the argument at a place, counted from 0, as the command's usage does.
func argument(c *cobra.Command, place string) string {
	at := 0
	fmt.Sscan(place, &at)
	if names := placeholder.FindAllStringSubmatch(c.Use, -1); at < len(names) {
		return names[at][1]
	}
	return fmt.Sprint(at + 1)
}

func argsSentence(c *cobra.Command, args []string, err error) string {
	if strings.HasPrefix(err.Error(), "unknown command") && len(args) > 0 { // cobra.NoArgs
		return fmt.Sprintf("takes no argument, and %q is one", args[0])
	}
	form := strings.TrimSpace(strings.TrimSuffix(c.UseLine(), "[flags]"))
	return fmt.Sprintf("%d arguments given, and the form is %s", len(args), form)
}

// Explain says in a sentence what cobra says of a command line, and what helps where the disk is
// full, and leaves every other error as it is.
func Explain(c *cobra.Command, err error) error {
	text := err.Error()
	for _, known := range []struct {
		form *regexp.Regexp
		says string
	}{{required, "%s is missing"}, {oneOf, "one of %s is missing"},
		{notBoth, "%s exclude each other"}, {allOf, "%s go together"}} {
		if m := known.form.FindStringSubmatch(text); m != nil {
			names := strings.Fields(strings.NewReplacer(`"`, "", ",", " ").Replace(m[1]))
			for i, name := range names {
				names[i] = "--" + name
			}
			return misuse(c, fmt.Sprintf(known.says, strings.Join(names, ", ")))
		}
	}
	if badValue.MatchString(text) {
		return misuse(c, valueSentence(c, text))
	}
	return disk.Explain(err)
}

// nearFlag finds the flag that a mistyped one was meant to be, empty if none is near.
func nearFlag(c *cobra.Command, name string) string {
	var names []string
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	}
	c.Flags().VisitAll(add)
	c.InheritedFlags().VisitAll(add)
	name, _, _ = strings.Cut(name, "=")
	return usage.Near(name, names)
}
