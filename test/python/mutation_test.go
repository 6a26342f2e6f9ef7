// SPDX-License-Identifier: Apache-2.0

package python

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// onlyOut are files of whose inputs a digit may change without the answer: a count within the same
// decision, a rate that another function would read, an element that is rounded or at a limit.
// Their expected values alone are changed.
var onlyOut = []string{"statistics.json", "mpoc_audit.json", "powers.json",
	"transformer_steps.json"}

// free are places whose digits decide nothing in their case.
var free = regexp.MustCompile(strings.Join([]string{
	// segment 1 takes no beacon value: spec W-5
	`^seed\.json/segment 1 is sprint-2/in/seeds/1$`,
	`^draw\.json/(all|none asked for|nothing there)/in/`, // no word is read: spec A-2
	`^draw\.json/.*slots/in/`,                            // slots need no seed: spec A-6
	// no word is read
	`^draw\.json/(picks of nothing|no picks|an order of (1|none)|empty tickets|no tickets|tickets of 2.64)/in/`,
	`^draw\.json/(an order|.*tickets).*/in/total$`, // neither has a total: spec A-5
	// a chance that no draw met
	`^draw\.json/(more than there are tickets|4 of 6 tickets|tickets).*/in/(n|held)`,
	// a path does not quite bind the size: spec C-14
	`^(inclusion|consistency|multi)\.json/.*/in/(size|old)$`,
	`^archive\.json/.*/in/commits$`, // the same
	// a log of nothing begins every other: spec C-3
	`^consistency\.json/0 to .*/in/root$`,
	// the vectors are about the state alone
	`^evidence_state\.json/.*/in/file/(nonce|norm|count|index|commits)`,
	`^evidence_state\.json/.*/in/file/(64|128) digits$`, // the same
	`^evidence\.json/.*/in/commits$`,                    // spec C-14
	// filled in from the secrets
	`^delivery\.json/.*/in/order/(host_key|device_key|audit)$`,
	`^mpoc_transfer\.json/.*/in/transfer/host_signature$`,  // made from the secret
	`^mpoc_transfer\.json/as a file/in/host_ed25519_seed$`, // the file is signed already
	`^signature\.json/.*/out/`,                             // true or false, no digits
}, "|"))

// place is a run of digits in a case: where it is, and whether it is hex.
type place struct {
	path       string
	start, end int
	hex        bool
}

var (
	hexRun  = regexp.MustCompile(`[0-9a-f]{16,}`)
	decimal = regexp.MustCompile(`^"?-?(0|[1-9][0-9]*)(\.[0-9]+)?"?$`)
	inner   = regexp.MustCompile(`\\"(\w+)\\": (?:\\")?([0-9]+)[^0-9a-f]`)
)

// places are the digits of a case, in its `in` and `out`, but for those that are free.
func places(t *testing.T, file string, raw []byte) []place {
	t.Helper()
	var c struct{ Name string }
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	var out []place
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	add := func(path string, start, end int, hex bool) {
		top := strings.SplitN(path, "/", 3)[1]
		full := file + "/" + c.Name + path
		if (top == "in" && !slices.Contains(onlyOut, file) || top == "out") &&
			!free.MatchString(full) {
			out = append(out, place{full, start, end, hex})
		}
	}
	var walk func(path string)
	walk = func(path string) {
		before := int(d.InputOffset())
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		end := int(d.InputOffset())
		start := before + bytes.IndexFunc(raw[before:end],
			func(r rune) bool { return !strings.ContainsRune(" \n\t,:", r) })
		switch tok := tok.(type) {
		case json.Delim:
			for i := 0; d.More(); i++ {
				name := fmt.Sprint(i)
				if tok == '{' {
					key, _ := d.Token()
					name = key.(string)
				}
				walk(path + "/" + name)
			}
			if _, err := d.Token(); err != nil {
				t.Fatal(err)
			}
		case json.Number:
			add(path, start, end, false)
		case string:
			switch text := raw[start:end]; {
			case decimal.Match(text):
				add(path, start+1, end-1, false)
			case strings.Contains(tok, "{"): // a document within
				for _, m := range inner.FindAllSubmatchIndex(text, -1) {
					add(path+"/"+string(text[m[2]:m[3]]), start+m[4], start+m[5], false)
				}
				fallthrough
			default:
				for _, m := range hexRun.FindAllIndex(text, -1) {
					name := path
					if strings.Contains(tok, "{") {
						name = fmt.Sprintf("%s/%d digits", path, m[1]-m[0])
					}
					add(name, start+m[0], start+m[1], true)
				}
			}
		}
	}
	walk("")
	return out
}

// mutate changes one digit at a place into another, and leaves no leading zero.
func mutate(r *rand.Rand, raw []byte, p place) []byte {
	digits := "0123456789"
	if p.hex {
		digits = "0123456789abcdef"
	}
	out := bytes.Clone(raw)
	for {
		at := p.start + r.IntN(p.end-p.start)
		to := digits[r.IntN(len(digits))]
		leading := !p.hex && to == '0' && (at == p.start || raw[at-1] == '-')
		if strings.IndexByte(digits, raw[at]) >= 0 && to != raw[at] &&
			(!leading || p.end-p.start == 1) {
			out[at] = to
			return out
		}
	}
}

// A digit that is changed in an accepted case, in what is given or in what is expected, makes it
// fail. The changed cases are checked as files of one case each, in one run. With ASSAY_LONG=1
// there are 200 instead of 20.
func TestChangedVectorsFail(t *testing.T) {
	t.Parallel()
	count := 20
	if long {
		count = 200
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	all := accepted(t)
	names := slices.Sorted(maps.Keys(all))
	dir, args, what := t.TempDir(), []string{program, "vectors"}, []string(nil)
	for i := range count {
		file := names[r.IntN(len(names))]
		raw := all[file][r.IntN(len(all[file]))]
		at := places(t, file, raw)
		if len(at) == 0 {
			t.Fatalf("%s: nothing to change in %.200s", file, raw)
		}
		p := at[r.IntN(len(at))]
		changed := mutate(r, raw, p)
		sub := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		args = append(args, write(t, sub, file,
			fmt.Sprintf(`{"about": "", "cases": [%s]}`, changed)))
		what = append(what, fmt.Sprintf("%s: %s instead of %s", p.path, changed[p.start:p.end],
			raw[p.start:p.end]))
	}
	out, code := python(t, args...)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for i, w := range what {
		if !strings.Contains(out, args[2+i]+": 0 ok, 1 failed") {
			t.Errorf("a changed vector passes: %.300s", w)
		}
	}
}

// accepted are the cases of each file that are accepted and have digits that count, but for those
// that take long. Spelling has none: another digit in a document may be spelt as well.
func accepted(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	all := map[string][]json.RawMessage{}
	for name, f := range vectors(t) {
		for _, raw := range f.Cases {
			var c struct {
				Out json.RawMessage
			}
			if err := json.Unmarshal(raw, &c); err != nil {
				t.Fatal(err)
			}
			var out struct {
				Error string
				Valid *bool
			}
			if json.Unmarshal(c.Out, &out) == nil &&
				(out.Error != "" || out.Valid != nil && !*out.Valid) {
				continue
			}
			if name != "spelling.json" && takeLong[name] == "" && len(places(t, name, raw)) > 0 {
				all[name] = append(all[name], raw)
			}
		}
	}
	return all
}
