// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// helpMost is how many targets `make help` lists at most: one reads them all before the first is
// tried.
const helpMost = 15

// target is a line of the Makefile with a target, and its sign: ## is for make help, ### for make
// long.
var target = regexp.MustCompile(`(?m)^([a-z0-9-]+):[^#\n]*(#+) (.+)$`)

// `make help` stays short: long tests are listed by `make long`, each with the time it takes.
func TestMakeHelpIsShort(t *testing.T) {
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var short, long []string
	for _, m := range target.FindAllStringSubmatch(string(text), -1) {
		switch name, sign, says := m[1], m[2], m[3]; {
		case sign == "##":
			short = append(short, name)
		case sign != "###":
			t.Errorf("%s: %s is neither ## nor ###", name, sign)
		default:
			long = append(long, name)
			if !strings.Contains(says, "minute") && !strings.Contains(says, "hour") {
				t.Errorf("%s: how long does it take? %q", name, says)
			}
		}
	}
	if len(short) < 5 || len(short) > helpMost {
		t.Errorf("make help lists %d targets, and at most %d are right: %v",
			len(short), helpMost, short)
	}
	if len(long) < 5 {
		t.Errorf("make long lists %v", long)
	}
}
