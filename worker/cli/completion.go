// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/usage"
)

// completeName is the command that the scripts call, with the words typed so far; it prints a
// candidate a line.
const completeName = "__complete"

// folders is what it prints instead where a folder is wanted.
const folders = ":folders"

// takes says what the flags with a value take: examples where that is any number or address.
var takes = map[string][]string{
	"host": {"assay://"}, "node": {"http://127.0.0.1:26657"}, "home": {folders},
	"device": {"cpu", "cuda", "opencl", "all"}, "payout": {"cpc1"},
	"threads": {"0", "1"}, "nice": {"0", "10", "19"}, "temp-limit": {"0", "85"},
	"temp-resume": {"75"}, "self-audit": {"256"},
	"listen": {"127.0.0.1:4780"}, "log-format": {"text", "json"},
	"class": {"nano", "small", "base", "large"}, "shape": {"1024", "4096"}, "seconds": {"2", "10"},
}

var scripts = map[string]string{
	"bash": `# bash completion of assay-worker: source <(assay-worker completion bash)
_assay_worker() {
	local IFS=$'\n' word="${COMP_WORDS[COMP_CWORD]}" out
	out=$(assay-worker __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	if [ "$out" = ":folders" ]; then
		COMPREPLY=($(compgen -d -- "$word"))
	else
		COMPREPLY=($(compgen -W "$out" -- "$word"))
	fi
}
complete -F _assay_worker assay-worker
`,
	"zsh": `#compdef assay-worker
# zsh completion of assay-worker: source <(assay-worker completion zsh)
_assay_worker() {
	local -a out
	out=("${(@f)$(assay-worker __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ "$out[1]" == ":folders" ]]; then
		_files -/
	else
		compadd -- $out
	fi
}
compdef _assay_worker assay-worker
`,
	"fish": `# fish completion of assay-worker: assay-worker completion fish | source
function __assay_worker
	set -l words (commandline -opc) (commandline -ct)
	set -l out (assay-worker __complete $words[2..-1] 2>/dev/null)
	if test "$out[1]" = ":folders"
		__fish_complete_directories (commandline -ct)
	else
		printf '%s\n' $out
	end
end
complete -c assay-worker -f -a '(__assay_worker)'
`,
}

func (c Command) completion(args []string, stdout, stderr io.Writer) error {
	shells := slices.Sorted(maps.Keys(scripts))
	if len(args) != 1 || scripts[args[0]] == "" {
		fmt.Fprintf(stderr, "%s completion: name a shell: %s\n", c.Name, strings.Join(shells, ", "))
		return errUsage
	}
	_, err := io.WriteString(stdout, scripts[args[0]])
	return err
}

// complete prints what may stand at the last word.
func (c Command) complete(words []string, stdout io.Writer) error {
	for _, candidate := range c.candidates(words) {
		if _, err := fmt.Fprintln(stdout, candidate); err != nil {
			return err
		}
	}
	return nil
}

func (c Command) candidates(words []string) []string {
	if len(words) == 0 {
		return names
	}
	last := words[len(words)-1]
	if len(words) == 1 {
		return withPrefix(names, last)
	}
	if words[0] == "completion" {
		return withPrefix(slices.Sorted(maps.Keys(scripts)), last)
	}
	f := c.flagsOf(words[0])
	if f == nil {
		return nil
	}
	if before := words[len(words)-2]; strings.HasPrefix(before, "-") && len(words) > 2 {
		if g := f.Lookup(strings.TrimLeft(before, "-")); g != nil && !isBool(g) {
			values := takes[g.Name]
			if slices.Equal(values, []string{folders}) {
				return values
			}
			return withPrefix(values, last)
		}
	}
	var list []string
	f.VisitAll(func(g *flag.Flag) { list = append(list, "--"+g.Name) })
	return withPrefix(list, last)
}

// manual writes the program's manual page into a folder; make man calls it.
func (c Command) manual(args []string, stdout, stderr io.Writer) error {
	if len(args) != 1 {
		fmt.Fprintf(stderr, "%s manual: name a folder to write into\n", c.Name)
		return errUsage
	}
	var p usage.Page
	p.Head(c.Name, "turn this machine into a worker of an Assay host")
	p.Section("SYNOPSIS")
	p.Line(c.Name + " COMMAND [OPTIONS]")
	p.Section("COMMANDS")
	var text strings.Builder
	c.usage(&text)
	p.Text(text.String())
	for _, name := range names {
		f := c.flagsOf(name)
		if f == nil {
			continue
		}
		p.Section("OPTIONS OF " + strings.ToUpper(name))
		f.VisitAll(func(g *flag.Flag) {
			value, text := flag.UnquoteUsage(g)
			p.Term(strings.TrimSpace("--"+g.Name+" "+value), text)
		})
	}
	if err := durable.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	path := filepath.Join(args[0], c.Name+".1")
	if err := durable.WriteFile(path, []byte(p.String()), 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "%s: man -l %s\n", path, path)
	return err
}
