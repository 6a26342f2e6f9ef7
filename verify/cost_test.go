// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/poc/mpoc"
)

// A file can ask for hours of work. What takes long is said, with what it takes, and waits for
// --full: also where the file is not even signed, and in a folder, whose other files are checked.
// Holds spec F-20.
func TestWhatTakesLongWaitsForFull(t *testing.T) {
	files, leaves := published(t, "mpoc_files.json"), published(t, "delivery_files.json")
	largest := func(text string) string {
		return strings.ReplaceAll(text, "512x256x512", "8192x8192x8192")
	}
	class := func(text, name string) string {
		return strings.ReplaceAll(text, `"nano"`, `"`+name+`"`)
	}
	whole, err := mpoc.ParseReceipt([]byte(files["rejected"]))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(10) {
		whole.WrongSamples = append(whole.WrongSamples, mpoc.Sample{Index: i, Proof: mpoc.Path{}})
	}
	raw, err := whole.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, c := range map[string]struct{ file, says string }{
		"tiles of the largest shape": {largest(files["rejected"]), ""},
		"ten whole small products":   {string(raw), ""},
		"ten whole large products":   {largest(string(raw)), "10 products of 8192 x 8192 x 8192"},
		"a unit of class small": {class(published(t, "evidence.json")["forged digest"],
			"small"), ""},
		"a unit of class large": {class(published(t, "evidence.json")["forged digest"],
			"large"), "1 unit of class large"},
		"leaves of class large": {class(leaves["fraud"], "large"), "units of class large"},
		"one leaf of class large": {class(leaves["a faulty device"], "large"),
			"of class large"},
		"no file of ours":               {`{"version":"assay-evidence/9"}`, ""},
		"a receipt for leaves is cheap": {class(leaves["a receipt"], "large"), ""},
	} {
		began := time.Now()
		_, err := verified(t, c.file)
		var long *TooLong
		if errors.As(err, &long) != (c.says != "") || c.says != "" &&
			(!strings.Contains(err.Error(), c.says) ||
				!strings.Contains(err.Error(), "add --full") || long.ExitCode() != 3) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
		if c.says == "" {
			continue
		}
		if took := time.Since(began); took > long.Takes/2 && took > time.Second {
			t.Errorf("%s: it took %s to say that it would take %s", name, took, long.Takes)
		}
		// the signature is checked first
		if _, err := verified(t, c.file, "--full"); err == nil || errors.As(err, &long) {
			t.Errorf("%s, in full: %v", name, err)
		}
	}
	for name, text := range map[string]string{"good.json": files["accepted"],
		"long.json": largest(string(raw))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said, err := execute(t, dir)
	var long *TooLong
	if !errors.As(err, &long) || !strings.Contains(said, "NOT CHECKED") ||
		!strings.Contains(said, "1 of 2 files prove") {
		t.Errorf("a folder: %v\n%s", err, said)
	}
}
