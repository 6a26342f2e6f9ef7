// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/worker/enginetest"
)

// Every flag that takes a value completes, and every command that has flags is found.
func TestEveryFlagCompletes(t *testing.T) {
	c := Command{Name: "assay-worker", Engine: new(enginetest.Engine)}
	flags := 0
	for _, name := range names {
		f := c.flagsOf(name)
		if f == nil {
			continue
		}
		f.VisitAll(func(g *flag.Flag) {
			flags++
			if list := c.candidates([]string{name, "--" + g.Name, ""}); !isBool(g) &&
				len(list) == 0 {
				t.Errorf("%s --%s completes to nothing", name, g.Name)
			}
			if !slices.Contains(c.candidates([]string{name, "--"}), "--"+g.Name) {
				t.Errorf("%s -- does not offer --%s", name, g.Name)
			}
		})
	}
	if flags < 20 {
		t.Errorf("%d flags were found", flags)
	}
	for _, x := range []struct {
		words []string
		want  string
	}{
		{[]string{"st"}, "start status"},
		{[]string{"start", "--device", "c"}, "cpu cuda"},
		{[]string{"start", "--home", "/tm"}, ":folders"},
		{[]string{"start", "--host", "u", "--dev"}, "--device"},
		{[]string{"completion", "z"}, "zsh"},
		{[]string{"nonsense", "--"}, ""},
	} {
		if got := strings.Join(c.candidates(x.words), " "); got != x.want {
			t.Errorf("%q completes to %q, want %q", x.words, got, x.want)
		}
	}
}

// The script is bash's, and hands on what the program offers.
func TestTheBashScript(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	code, script, _ := run(Command{Name: "assay-worker"}, "completion", "bash")
	if code != ok {
		t.Fatal(code)
	}
	dir := filepath.Join(t.TempDir(), "only")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ program, words, want string }{
		{`printf 'cpu\ncuda\n'; echo "$@" >&3`, "assay-worker start --device c",
			"cpu cuda|__complete start --device c"},
		{`echo :folders`, "assay-worker start --home " + dir[:len(dir)-2], dir + "|"},
	} {
		cmd := exec.Command(bash, "-c", script+`
exec 3>&2
assay-worker() { `+c.program+`; }
COMP_WORDS=(`+c.words+`); COMP_CWORD=$((${#COMP_WORDS[@]}-1))
_assay_worker; echo -n "${COMPREPLY[@]}|"`)
		var asked strings.Builder
		cmd.Stderr = &asked
		out, err := cmd.Output()
		if got := string(out) + strings.TrimSpace(asked.String()); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.words, got, err, c.want)
		}
	}
}

// The manual has every command with its flags.
func TestManual(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	if code, _, stderr := run(Command{Name: "assay-worker", Engine: new(enginetest.Engine)},
		"manual", dir); code != ok {
		t.Fatal(code, stderr)
	}
	page, err := os.ReadFile(filepath.Join(dir, "assay-worker.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".TH \"ASSAY-WORKER\" 1\n", "OPTIONS OF START\n",
		".B \\-\\-temp\\-limit int\n", "OPTIONS OF DOCTOR\n"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q in the page", want)
		}
	}
}
