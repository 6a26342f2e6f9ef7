// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/verify/leaves"
	"github.com/assaynet/assay/verify/receipt"
)

// node is a piece of JSON that keeps the order of its keys: the files have one spelling, and edits
// that break it are no test of what is in them.
type node struct {
	keys     []string // of an object
	children []*node  // of an object or a list
	scalar   string   // as it is spelt
	list     bool
}

func parseNode(t *testing.T, d *json.Decoder) *node {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{}
	switch token := token.(type) {
	case json.Delim:
		n.list = token == '['
		for d.More() {
			if !n.list {
				key, err := d.Token()
				if err != nil {
					t.Fatal(err)
				}
				n.keys = append(n.keys, key.(string))
			}
			n.children = append(n.children, parseNode(t, d))
		}
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
	case string:
		n.scalar = strconv.Quote(token)
	case json.Number:
		n.scalar = token.String()
	default:
		n.scalar = fmt.Sprint(token)
	}
	return n
}

func (n *node) String() string {
	if n.scalar != "" {
		return n.scalar
	}
	var parts []string
	for i, c := range n.children {
		text := c.String()
		if !n.list {
			text = strconv.Quote(n.keys[i]) + ":" + text
		}
		parts = append(parts, text)
	}
	if n.list {
		return "[" + strings.Join(parts, ",") + "]"
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// words are what the files choose from.
var words = []string{
	evidence.Version, evidence.Version1, "assay-mpoc-receipt/1", "assay-mpoc-evidence/1",
	"assay-leaf-receipt/1", "assay-leaf-evidence/1", delivery.LeftOutVersion,
	"forged", "honest", "two-commits", "two-terms", "bad-draw", "two-draws", "two-receipts",
	"fraud", "faulty",
	"accepted", "rejected", "failed", "late", "locked", "nano", "small", "base", "large",
}

// spellings are other values of a scalar.
func spellings(scalar string) (out []string) {
	text, err := strconv.Unquote(scalar)
	if err != nil { // a number, or true
		if scalar == "true" || scalar == "false" {
			return []string{"true", "false"}
		}
		v, err := strconv.ParseUint(scalar, 10, 64)
		if err != nil {
			return []string{"0", "1", scalar + "1"}
		}
		for _, other := range []uint64{v + 1, v - 1, 0, 2 * v} {
			out = append(out, fmt.Sprint(other))
		}
		return out
	}
	other := func(text string) { out = append(out, strconv.Quote(text)) }
	other("")
	other(text + "1")
	for _, at := range []int{2, len(text) - 1} { // behind 0x, where there is one
		if at < 0 || at >= len(text) {
			continue
		}
		for _, digit := range "07f" {
			other(text[:at] + string(digit) + text[at+1:])
		}
	}
	if v, err := strconv.ParseUint(text, 10, 64); err == nil {
		other(fmt.Sprint(v + 1))
		other(fmt.Sprint(v - 1))
	}
	if slices.Contains(words, text) {
		for _, w := range words {
			other(w)
		}
	}
	return out
}

// edits calls yield with n changed in each way, and where. Before each return n is as it was.
func (n *node) edits(path string, optional map[string]string, yield func(where, what string)) {
	if n.scalar != "" {
		was := n.scalar
		for _, other := range spellings(was) {
			if n.scalar = other; other != was {
				yield(path, "is "+other)
			}
		}
		n.scalar = was
		return
	}
	keys, children := n.keys, n.children
	set := func(where, what string, k []string, c []*node) {
		n.keys, n.children = k, c
		yield(where, what)
		n.keys, n.children = keys, children
	}
	at := func(i int) string {
		if n.list {
			return fmt.Sprintf("%s[%d]", path, i)
		}
		return strings.TrimPrefix(path+"."+keys[i], ".")
	}
	without := func(i int) (k []string, c []*node) {
		if !n.list {
			k = slices.Delete(slices.Clone(keys), i, i+1)
		}
		return k, slices.Delete(slices.Clone(children), i, i+1)
	}
	plus := func(i int, key string, value *node) (k []string, c []*node) {
		if !n.list {
			k = slices.Insert(slices.Clone(keys), i, key)
		}
		return k, slices.Insert(slices.Clone(children), i, value)
	}
	for i, c := range children {
		k, rest := without(i)
		set(at(i), "is gone", k, rest)
		key := ""
		if !n.list {
			key = keys[i]
		}
		k, more := plus(i, key, c)
		set(at(i), "is there twice", k, more)
		for j := range i { // seeds, keys, counts, whatever has two places
			swapped := slices.Clone(children)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			if c.String() != children[j].String() &&
				(c.scalar != "") == (children[j].scalar != "") && (n.list || c.scalar != "") {
				set(at(i), "has changed places with "+at(j), keys, swapped)
			}
		}
		c.edits(at(i), optional, yield)
	}
	if n.list {
		return
	}
	k, more := plus(len(keys), "extra", &node{scalar: "1"})
	set(path+".extra", "is added", k, more)
	if !slices.Contains(keys, "version") {
		return // what may be missing belongs to whole documents
	}
	for i := range len(keys) + 1 {
		for key, value := range optional {
			if !slices.Contains(keys, key) {
				k, more := plus(i, key, &node{scalar: value})
				set(strings.TrimPrefix(path+"."+key, "."), "is added", k, more)
			}
		}
	}
}

// file is one document, and what may be edited in it.
type file struct {
	kind, text string
	by         against
	// free are the edits that pass, as where and what they begin, with why they convict nobody.
	free map[string]string
	// unproven files hold and are no proof, as they are.
	unproven bool
}

func documents(t *testing.T) []file {
	t.Helper()
	const people = "it is for people"
	note := map[string]string{"note ": people}
	withNote := func(more map[string]string) map[string]string {
		more["note "] = people
		return more
	}
	var all []file
	sound := publishedStates(t)["the archive under its block"]
	files := published(t, "evidence.json")
	const noProof = "then what is taken from the file is said, and it is no proof (exit 2)"
	all = append(all,
		file{kind: "evidence with a trusted block", text: sound.text,
			by: against{block: strings.ToUpper(sound.block)}, free: withNote(map[string]string{
				"state is gone": noProof})},
		file{kind: "evidence with a block", text: sound.text, unproven: true,
			free: withNote(map[string]string{
				"state is gone": noProof,
				"state.header is": "whoever edits the header has a block " +
					"that nobody trusts"})},
		file{kind: "evidence without a block", text: files["forged digest"], unproven: true,
			free: withNote(map[string]string{
				"archive.commits is": "paths of RFC 6962 do not bind the size; " +
					"--node and --trust compare it, and without them the file is " +
					"no proof (exit 2)"})},
		file{kind: "evidence of version 1", text: files["version 1, edited into a conviction"],
			unproven: true, free: withNote(map[string]string{
				"seed1 is": "not signed in version 1, which is no proof whatever it says " +
					"(exit 2)",
				"segment_seed is": "the same"})},
	)
	mpocFiles := published(t, "mpoc_files.json")
	const countersigned = "the device's receipt for the receipt: without it the same is proven, " +
		"of the same host"
	for _, name := range []string{"accepted", "rejected", "failed", "late"} {
		free := map[string]string{}
		if strings.Contains(mpocFiles[name], "device_signature") {
			free["device_signature is gone"] = countersigned
		}
		all = append(all, file{kind: "mpoc receipt, " + name, text: mpocFiles[name], free: free})
	}
	for _, name := range []string{"honest", "forged", "two offers", "two offers with other rules",
		"two commits", "a bad draw", "two draws", "two receipts"} {
		free := note
		if strings.Contains(mpocFiles[name], "device_signature") {
			free = withNote(map[string]string{"receipt.device_signature is gone": countersigned})
		}
		all = append(all, file{kind: "mpoc evidence, " + name, text: mpocFiles[name], free: free})
	}
	deliveries := published(t, "delivery_files.json")
	all = append(all, file{kind: "receipt for leaves", text: deliveries["a receipt"]},
		file{kind: "evidence about leaves, fraud", text: deliveries["fraud"],
			free: withNote(map[string]string{
				"wrong[2].leaf is 24": "the machine's signature covers the page, in which " +
					"leaf 24 was drawn and is wrong too"})},
		file{kind: "evidence about leaves, faulty", text: deliveries["a faulty device"],
			free: note},
		file{kind: "log left out, fraud", text: leftOut(t, deliveries["fraud"]),
			free: map[string]string{
				"evidence.note ":               people,
				"evidence.wrong[2].leaf is 24": "as in the evidence alone"}},
		file{kind: "log left out, faulty", text: leftOut(t, deliveries["a faulty device"]),
			free: map[string]string{"evidence.note ": people}})
	return all
}

// leftOut makes the file that a host writes about a log.
func leftOut(t *testing.T, evidence string) string {
	t.Helper()
	e, err := delivery.Parse([]byte(evidence))
	if err != nil {
		t.Fatal(err)
	}
	found, err := e.Verify(t.Context(), work.NewJudge(nil))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := document.Write(delivery.FileOf(e, found))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// accuses reports whether a report shows somebody to have cheated.
func accuses(report any) bool {
	switch r := report.(type) {
	case receipt.Report:
		return r.Proven || r.HostCheated || r.Accused != ""
	case leaves.Report:
		return r.Proven || r.Accused != ""
	case Report:
		return r.Proven
	}
	return false
}

// C23. A document that is edited anywhere but in what is listed as free proves nothing and accuses
// nobody: every value changed, every key removed, added, doubled, every two places swapped, in
// every kind of document. And what is free is free: it is no test of nothing.
func TestC23ADocumentEditedAnywhereProvesNothing(t *testing.T) {
	check := func(f file, text string) result {
		return lookAt(t.Context(), work.Reference(), "file.json", []byte(text), f.by, true)
	}
	all := documents(t)
	optional := map[string]string{"hidden": `"why"`, "voter": `"cpc1voter"`,
		"voter_digest": `"0011223344556677"`}
	for _, f := range all {
		var collect func(n *node)
		collect = func(n *node) {
			for i, key := range n.keys {
				if slices.Contains([]string{"device_signature", "draw", "wrong_samples",
					"wrong_tiles", "state", "archive", "sample", "tile", "other_terms",
					"other_commit", "other_draw", "note"}, key) {
					optional[key] = n.children[i].String()
				}
			}
			for _, c := range n.children {
				collect(c)
			}
		}
		collect(tree(t, f.text))
	}
	for _, f := range all {
		t.Run(f.kind, func(t *testing.T) {
			if r := check(f, f.text); f.unproven != errors.Is(r.err, ErrTaken) ||
				!f.unproven && r.err != nil {
				t.Fatalf("as it is: %v", r.err)
			}
			root := tree(t, f.text)
			tried, freed := 0, map[string]bool{}
			root.edits("", optional, func(where, what string) {
				tried++
				r := check(f, root.String())
				refused := r.err != nil && !errors.Is(r.err, ErrTaken)
				of := ""
				for free := range f.free {
					if strings.HasPrefix(where+" "+what, free) {
						of = free
					}
				}
				switch {
				case f.unproven && accuses(r.report):
					t.Errorf("%s %s: proven, and nothing to prove it by", where, what)
				case of != "" && !refused:
					freed[of] = true
				case !refused:
					t.Errorf("%s %s: %v", where, what, r.err)
				case accuses(r.report):
					t.Errorf("%s %s: refused (%v), and yet %+v", where, what, r.err, r.report)
				}
			})
			for free, why := range f.free {
				if !freed[free] {
					t.Errorf("%s is listed as free (%s), and no edit of it passes", free, why)
				}
			}
			t.Logf("%d edits", tried)
		})
	}
}

func tree(t *testing.T, text string) *node {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	return parseNode(t, d)
}
