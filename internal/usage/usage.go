// SPDX-License-Identifier: Apache-2.0

// Package usage is what the command lines of both programs have in common: finding what a mistyped
// word was meant to be, and the form of a manual page.
package usage

import (
	"fmt"
	"strings"
)

// Near is the word that a mistyped one was meant to be, empty if none is near.
func Near(typed string, words []string) (near string) {
	least := 3
	for _, word := range words {
		d := distance(typed, word)
		if typed != "" && strings.HasPrefix(word, typed) {
			d = 1
		}
		if d < least && d < len(word) {
			near, least = word, d
		}
	}
	return near
}

// distance is how many letters differ, two that changed places counting as one.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j-1]+cost, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// Page writes the manual's pages, in roff.
type Page struct{ strings.Builder }

// Head begins a page of section 1.
func (p *Page) Head(name, short string) {
	fmt.Fprintf(p, ".TH %q 1\n", strings.ToUpper(name))
	p.Section("NAME")
	fmt.Fprintf(p, "%s \\- %s\n", Roff(name), Roff(short))
}

// Section begins a section.
func (p *Page) Section(name string) { fmt.Fprintf(p, ".SH %s\n", name) }

// Line writes a command line.
func (p *Page) Line(text string) { fmt.Fprintf(p, ".B %s\n", Roff(text)) }

// Text writes lines as they are.
func (p *Page) Text(text string) { fmt.Fprintf(p, ".nf\n%s\n.fi\n", Roff(text)) }

// Term writes an entry of a list.
func (p *Page) Term(name, text string) {
	fmt.Fprintf(p, ".TP\n.B %s\n%s\n", Roff(name), Roff(text))
}

// Roff writes text so that nothing in it is a command of roff.
func Roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
