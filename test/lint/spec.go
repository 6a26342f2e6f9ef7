// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The pages of docs/spec number their rules; everything else cites them: "spec S-12", "spec C-2,
// C-3 and C-4".
var (
	ruleBegins = regexp.MustCompile(`^\*\*([A-Z])-([1-9][0-9]*)\. \S`)
	cited      = regexp.MustCompile(`\bspec ([A-Z]-[0-9]+(?:(?:,| and|, and) [A-Z]-[0-9]+)*)`)
	number     = regexp.MustCompile(`\b[A-Z]-[0-9]+\b`)
	letter     = regexp.MustCompile(`^# .* \(([A-Z])\)$`)
)

// longest is how many lines a page may have.
const longest = 600

// law is what the pages define and the tree cites.
type law struct {
	rules  map[string]string // rule to its page
	count  map[string]int    // letter to the number of its last rule
	tested map[string]bool   // rules that a test cites
	faults []string
}

func (l *law) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// page reads the rules of a page: one letter a page, numbers from 1 on without a gap.
func (l *law) page(name, text string) {
	lines := strings.Split(text, "\n")
	if len(lines) > longest {
		l.fault("%s has %d lines, at most %d", name, len(lines), longest)
	}
	title := letter.FindStringSubmatch(lines[0])
	for i, line := range lines {
		m := ruleBegins.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		rule := m[1] + "-" + m[2]
		if title == nil || title[1] != m[1] {
			l.fault("%s:%d: rule %s is on a page whose title does not end with (%s)",
				name, i+1, rule, m[1])
		}
		if other, twice := l.rules[rule]; twice {
			l.fault("%s:%d: rule %s is defined in %s already", name, i+1, rule, other)
		}
		if n, _ := strconv.Atoi(m[2]); n != l.count[m[1]]+1 {
			l.fault("%s:%d: rule %s follows %s-%d: numbers are never left out or used again", name,
				i+1, rule, m[1], l.count[m[1]])
		} else {
			l.count[m[1]] = n
		}
		l.rules[rule] = name
	}
}

// within checks the bare numbers of a page, which are those of rules where their letter has any.
func (l *law) within(name, text string) {
	for i, line := range strings.Split(text, "\n") {
		for _, rule := range number.FindAllString(line, -1) {
			if l.count[rule[:1]] > 0 && l.rules[rule] == "" {
				l.fault("%s:%d: there is no rule %s", name, i+1, rule)
			}
		}
	}
}

// cites reads a file outside the pages.
func (l *law) cites(name, text string) {
	for i, line := range strings.Split(text, "\n") {
		for _, m := range cited.FindAllStringSubmatch(line, -1) {
			for _, rule := range number.FindAllString(m[1], -1) {
				if l.rules[rule] == "" {
					l.fault("%s:%d: there is no rule %s in docs/spec", name, i+1, rule)
				} else if strings.HasSuffix(path.Base(name), "_test.go") {
					l.tested[rule] = true
				}
			}
		}
	}
}

// untested lists rules that no test cites, in order.
func (l *law) untested() (rules []string) {
	for rule := range l.rules {
		if !l.tested[rule] {
			rules = append(rules, rule)
		}
	}
	slices.SortFunc(rules, func(a, b string) int {
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		m, _ := strconv.Atoi(a[2:])
		n, _ := strconv.Atoi(b[2:])
		return m - n
	})
	return rules
}
