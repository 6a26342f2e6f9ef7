// SPDX-License-Identifier: Apache-2.0

package commands

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/assaynet/assay/internal/usage"
)

// Manual is the manual's section 1 for a tree: a page per command that people call, by file name,
// in roff.
func Manual(root *cobra.Command) map[string]string {
	pages := map[string]string{}
	Walk(root, func(c *cobra.Command) {
		if c == root || c.IsAvailableCommand() {
			pages[pageName(c)+".1"] = page(c)
		}
	})
	return pages
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func page(c *cobra.Command) string {
	var p usage.Page
	p.Head(pageName(c), c.Short)
	p.Section("SYNOPSIS")
	p.Line(c.UseLine())
	if c.Long != "" {
		p.Section("DESCRIPTION")
		p.Text(c.Long)
	}
	if c.HasAvailableSubCommands() {
		p.Section("COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				p.Term(sub.Name(), sub.Short)
			}
		}
	}
	if c.HasAvailableFlags() {
		p.Section("OPTIONS")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { option(&p, f) })
		c.InheritedFlags().VisitAll(func(f *pflag.Flag) { option(&p, f) })
	}
	if c.Example != "" {
		p.Section("EXAMPLES")
		p.Text(c.Example)
	}
	if c.HasParent() {
		p.Section("SEE ALSO")
		fmt.Fprintf(&p, "%s(1)\n", usage.Roff(pageName(c.Parent())))
	}
	return p.String()
}

// option writes a flag. The default of --home is the builder's folder, and of no use to a reader.
func option(p *usage.Page, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	value, text := pflag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
	default:
		if f.Name != "home" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
	}
	p.Term(strings.TrimSpace("--"+f.Name+" "+value), text)
}
