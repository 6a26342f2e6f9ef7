// SPDX-License-Identifier: Apache-2.0

package commands

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Values completes a flag: a list of what it takes, Files, Folders, or nothing that could be known.
type Values struct {
	list      []string
	directive cobra.ShellCompDirective
}

// One completes to a list.
func One(of ...string) Values { return Values{of, cobra.ShellCompDirectiveNoFileComp} }

// Files completes to files, of the extensions given if any; Folders to folders.
func Files(extensions ...string) Values {
	if len(extensions) == 0 {
		return Values{nil, cobra.ShellCompDirectiveDefault}
	}
	return Values{extensions, cobra.ShellCompDirectiveFilterFileExt}
}

// Folders completes to folders.
func Folders() Values { return Values{nil, cobra.ShellCompDirectiveFilterDirs} }

// Complete gives every flag of the tree that takes a value its completion, by the flag's name. Of
// those not named, numbers and the like complete to nothing rather than to files; it returns the
// names of the strings among them, of which nobody has said what they are.
func Complete(root *cobra.Command, values map[string]Values) (unnamed []string) {
	seen := map[*pflag.Flag]bool{}
	Walk(root, func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if seen[f] || f.NoOptDefVal != "" || f.Name == "help" { // a bool
				return
			}
			seen[f] = true
			v, named := values[f.Name]
			if !named {
				v = One()
				if strings.HasPrefix(f.Value.Type(), "string") {
					unnamed = append(unnamed, fmt.Sprintf("%s --%s", c.CommandPath(), f.Name))
				}
			}
			// It fails only for a flag that has a completion, which then stays.
			_ = c.RegisterFlagCompletionFunc(f.Name,
				func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
					return v.list, v.directive
				})
		})
	})
	return unnamed
}

// Ask completes a command line of a tree that is built on demand, for the program's own completion
// to hand on.
func Ask(root *cobra.Command, args []string) ([]string, cobra.ShellCompDirective) {
	var out strings.Builder
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, args...))
	if err := root.Execute(); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := lines[len(lines)-1]
	directive := cobra.ShellCompDirectiveError
	if n, err := strconv.Atoi(strings.TrimPrefix(last, ":")); err == nil {
		directive = cobra.ShellCompDirective(n)
	}
	return lines[:len(lines)-1], directive
}
