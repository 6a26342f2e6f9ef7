// SPDX-License-Identifier: Apache-2.0

package commands

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// tree has a group, a command with others below it, and one with arguments.
func tree() *cobra.Command {
	root := &cobra.Command{Use: "prog", Short: "a program"}
	group := &cobra.Command{Use: "group", Short: "things", Args: cobra.NoArgs}
	list := &cobra.Command{Use: "list [number]", Short: "list one", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "x" { // as a tree says it that parses arguments as flags
				return errors.New(
					`invalid argument "x" for "--0" flag: strconv.ParseUint: parsing "x": invalid syntax`)
			}
			return nil
		}}
	list.Flags().Int("count", 1, "how many")
	list.Flags().String("kind", "", "which `sort`")
	list.Flags().String("name", "", "a name")
	list.Flags().Bool("all", false, "all of them")
	group.AddCommand(list)
	serve := &cobra.Command{Use: "serve", Short: "serve\n.TH is no command here",
		Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return nil }}
	serve.Flags().String("home", "", "folder")
	_ = serve.MarkFlagRequired("home")
	serve.AddCommand(&cobra.Command{Use: "status", Short: "its status", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) {}})
	root.AddCommand(group, serve,
		&cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}})
	return root
}

// Every mistake is one line, which ends in where to look; help is printed only to who asks for it.
func TestAMistypedCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"grop":                      `no command "grop", perhaps group; see prog --help`,
		"group lisst 1":             `no command "lisst", perhaps list; see prog group --help`,
		"group zzz":                 `no command "zzz"; see prog group --help`,
		"serve statu":               `no command "statu", perhaps status; see prog serve --help`,
		"serve status now":          `takes no argument, and "now" is one; see prog serve status --help`,
		"group list":                `0 arguments given, and the form is prog group list [number]; see prog group list --help`,
		"group list 1 --cuont 2":    `no flag --cuont, perhaps --count; see prog group list --help`,
		"group list 1 --zzzzzzzz":   `no flag --zzzzzzzz; see prog group list --help`,
		"group list 1 --count":      `--count needs a value; see prog group list --help`,
		"group list 1 --count many": `--count "many": want a number; see prog group list --help`,
		"group list 1 --all=maybe":  `--all "maybe": want true or false; see prog group list --help`,
		"group list x":              `argument number "x": want a number; see prog group list --help`,
		"group list 1 -z":           `no flag 'z' in -z; see prog group list --help`,
		"serve":                     `--home is missing; see prog serve --help`,
		"group list 1":              "",
		"serve --home x":            "",
	} {
		root := tree()
		Strict(root)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(strings.Fields(line))
		said := ""
		if c, err := root.ExecuteC(); err != nil {
			said = Explain(c, err).Error()
		}
		if said != want || out.Len() > 0 {
			t.Errorf("%s: says %q, and prints %q; want %q", line, said, out.String(), want)
		}
	}
	root := tree()
	Strict(root)
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"group"})
	if err := root.Execute(); err != nil || !strings.Contains(out.String(), "list one") {
		t.Errorf("a group alone: %v, %q", err, out.String())
	}
}

// Every flag with a value has a completion, and a string of which nobody said what it is gets
// reported.
func TestEveryFlagCompletes(t *testing.T) {
	root := tree()
	unnamed := Complete(root, map[string]Values{"kind": One("big", "small"), "home": Folders()})
	if !slices.Equal(unnamed, []string{"prog group list --name"}) {
		t.Errorf("unnamed are %v", unnamed)
	}
	for line, want := range map[string]string{
		"group list --kind ":  "big\nsmall\n:4\n",
		"group list --count ": ":4\n",
		"serve --home ":       ":16\n",
	} {
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(new(bytes.Buffer))
		root.SetArgs(append([]string{"__complete"}, strings.Split(line, " ")...))
		if err := root.Execute(); err != nil || out.String() != want {
			t.Errorf("%s: %v, %q; want %q", line, err, out.String(), want)
		}
	}
}

// The manual has a page per command, and nothing that a help says is taken for a command of roff.
func TestManual(t *testing.T) {
	pages := Manual(tree())
	for _, name := range []string{"prog.1", "prog-group.1", "prog-group-list.1", "prog-serve.1",
		"prog-serve-status.1"} {
		if pages[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if len(pages) != 5 {
		t.Errorf("%d pages; hidden commands have none", len(pages))
	}
	for _, want := range []string{".TH \"PROG-GROUP-LIST\" 1\n", "prog\\-group\\-list \\- list " +
		"one\n", ".B \\-\\-kind sort\nwhich sort\n", ".SH SEE ALSO\nprog\\-group(1)\n"} {
		if !strings.Contains(pages["prog-group-list.1"], want) {
			t.Errorf("%q is not in\n%s", want, pages["prog-group-list.1"])
		}
	}
	if !strings.Contains(pages["prog-serve.1"], "\n\\&.TH is") {
		t.Errorf("a line that begins with a dot:\n%s", pages["prog-serve.1"])
	}
}
