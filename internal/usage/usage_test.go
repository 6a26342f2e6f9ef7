// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"strings"
	"testing"
)

func TestNear(t *testing.T) {
	words := []string{"home", "host", "log-level", "o"}
	for typed, want := range map[string]string{"hom": "home", "hots": "host", "log": "log-level",
		"zzz": "", "": "", "x": "", "home": "home"} {
		if got := Near(typed, words); got != want {
			t.Errorf("Near(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestRoff(t *testing.T) {
	var p Page
	p.Head("assay-x", "do x")
	p.Text(".TH no command\n'nor this\n\\fB")
	p.Term("--flag", "a flag")
	want := ".TH \"ASSAY-X\" 1\n.SH NAME\nassay\\-x \\- do x\n.nf\n\\&.TH no command\n\\&'nor " +
		"this\n\\efB\n.fi\n.TP\n.B \\-\\-flag\na flag\n"
	if got := p.String(); got != want {
		t.Errorf("got %s", strings.ReplaceAll(got, "\n", "|"))
	}
}
