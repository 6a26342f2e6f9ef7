// SPDX-License-Identifier: Apache-2.0

package flips

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/assaynet/assay/internal/kept"
)

// Held fails a test where a kind of file in a table is damaged by no test: each thing names one
// that calls [Each] on such files, or says why none is needed. Root is the module's folder.
func Held(t *testing.T, root string, table []kept.Thing) {
	t.Helper()
	for _, thing := range table {
		if thing.Where == "" {
			continue
		}
		if why := unheld(root, thing); why != "" {
			t.Errorf("%s (%s): %s", thing.What, thing.Where, why)
		}
	}
}

// None begins the reason why no test damages a kind of file.
const None = "none: "

func unheld(root string, thing kept.Thing) string {
	if reason, none := strings.CutPrefix(thing.Damaged, None); none {
		if len(reason) < 10 {
			return "no test damages it, and the reason is missing"
		}
		return ""
	}
	pkg, test, found := strings.Cut(thing.Damaged, ".")
	if !found {
		return "no test damages it"
	}
	body := source(filepath.Join(root, filepath.FromSlash(pkg)), test)
	switch {
	case body == "":
		return fmt.Sprintf("there is no %s in %s", test, pkg)
	case !strings.Contains(body, "flips.Each("):
		return fmt.Sprintf("%s in %s damages nothing", test, pkg)
	case strings.Contains(body, ".Covers("): // it sees by itself what it damages
		return ""
	}
	// A package below the program that owns the table cannot see it, and names its own files.
	rest := thing.Where
	for more := true; more; _, rest, more = strings.Cut(rest, "/") {
		if strings.Contains(body, ".Saw(") && strings.Contains(body, `"`+rest+`"`) {
			return ""
		}
	}
	return fmt.Sprintf("%s in %s neither calls Covers, nor Saw with %s", test, pkg,
		path.Base(thing.Where))
}

// source is the text of a test's function, empty where a folder has none of that name.
func source(dir, test string) string {
	list, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	begins := regexp.MustCompile(`(?ms)^func ` + regexp.QuoteMeta(test) + `\(.*?^}`)
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		if text, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
			if found := begins.Find(text); found != nil {
				return string(found)
			}
		}
	}
	return ""
}
