// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	byRule  = regexp.MustCompile(`^\| ((?:[A-Z]-[0-9]+(?:, )?)+) \| (.+) \|$`)
	shown   = regexp.MustCompile("`([a-z_]+\\.json)`((?: ?\"[^\"]+\",?)*)")
	quoted  = regexp.MustCompile(`"([^"]+)"`)
	without = regexp.MustCompile(`^none: (principle|state|program)( \(.+\))?$`)
)

// published are the names of the cases in each file of vectors.
type published map[string][]string

// vectors reads the list of rules in test/vectors/README.md and says what is wrong with it: every
// rule of the law stands in it once, with files and cases that there are, or with the kind of rule
// that has none; every file shows a rule.
func (l *law) vectors(readme string, files published) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf(format, args...))
	}
	listed, named := map[string]bool{}, map[string]bool{}
	for i, line := range strings.Split(readme, "\n") {
		row := byRule.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		for _, rule := range strings.Split(row[1], ", ") {
			if l.rules[rule] == "" {
				fault("line %d: there is no rule %s", i+1, rule)
			}
			if listed[rule] {
				fault("line %d: rule %s is listed twice", i+1, rule)
			}
			listed[rule] = true
		}
		if without.MatchString(row[2]) {
			continue
		}
		where := shown.FindAllStringSubmatch(row[2], -1)
		if len(where) == 0 {
			fault("line %d: %q names no file, and not why there is none", i+1, row[2])
		}
		for _, file := range where {
			named[file[1]] = true
			if files[file[1]] == nil {
				fault("line %d: there is no file %s", i+1, file[1])
				continue
			}
			for _, c := range quoted.FindAllStringSubmatch(file[2], -1) {
				if !slices.Contains(files[file[1]], c[1]) {
					fault("line %d: %s has no case %q", i+1, file[1], c[1])
				}
			}
		}
	}
	for rule, page := range l.rules {
		if !listed[rule] {
			fault("rule %s of docs/spec/%s is not in the list: name the vectors that show it, or "+
				"why there are none", rule, page)
		}
	}
	for file := range files {
		if !named[file] {
			fault("%s shows no rule", file)
		}
	}
	slices.Sort(faults)
	return faults
}
