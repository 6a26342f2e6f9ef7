// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/worker/enginetest"
)

func run(c Command, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = c.Run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// nobody listens on port 1.
const nobody = "assay://127.0.0.1:1#00112233445566778899aabbccddeeff"

func TestCommandLine(t *testing.T) {
	t.Setenv("ASSAY_HOST", "")
	home := t.TempDir()
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string // parts of them
	}{
		{"", 2, "", "start --host URL"},
		{"help", 0, "start --host URL", ""},
		{"dance", 2, "", `no command "dance"`},
		{"start", 2, "", "--host is missing"},
		{"start -h", 0, "", "-nice"},
		{"start --host x --home " + home, 1, "", "not a host address"},
		{"start --host assay://h:1#0 --home " + home, 1, "", "needs the fingerprint after #"},
		{"start --warp 9", 2, "", "flag provided but not defined"},
		{"start now", 2, "", `unexpected argument "now"`},
		{"id --home " + home, 0, "assay host allow ", ""},
		{"start --temp-limit 60 --host " + nobody, 2, "", "--temp-resume 75 is not below --temp-limit 60"},
		{"start --device , --host " + nobody, 2, "", "an empty device name"},
		{"start --device cuda:7 --home " + home + " --host " + nobody, 1, "", "--device cuda:7; this machine has cpu (test)"},
		{"bench --class giant", 2, "", "unknown class"},
		{"bench --shape 100", 2, "", "--shape"},
		{"bench --shape 512x512", 2, "", "want N or MxKxQ"},
		{"bench --shape big", 2, "", "want N or MxKxQ"},
		{"bench --seconds 0", 2, "", "no time"},
		{"bench --device opencl", 1, "", "this machine has cpu (test)"},
		{"doctor --warp", 2, "", "flag provided but not defined"},
	} {
		code, stdout, stderr := run(Command{Name: "assay worker", Engine: new(enginetest.Engine)}, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
			t.Errorf("%q: code %d\nstdout: %s\nstderr: %s", c.args, code, stdout, stderr)
		}
	}
}

// The machine's identity is made once.
func TestID(t *testing.T) {
	home := t.TempDir()
	ids := make([]map[string]string, 2)
	for i := range ids {
		code, stdout, _ := run(Command{Name: "w"}, "id", "--json", "--home", home)
		if err := json.Unmarshal([]byte(stdout), &ids[i]); code != 0 || err != nil {
			t.Fatalf("code %d, %s, %v", code, stdout, err)
		}
	}
	if ids[0]["key"] != ids[1]["key"] || len(ids[0]["key"]) != 64 || len(ids[0]["fingerprint"]) != 32 {
		t.Errorf("identities %v", ids)
	}
}

type broken struct{ work.Engine }

func (broken) Transformer(context.Context, transformer.Class, seed.Seed, func(done, total uint64)) (transformer.Model, error) {
	return new(enginetest.Engine).Transformer(context.Background(), transformer.Nano, seed.Seed{}, nil)
}

func TestBrokenEngine(t *testing.T) {
	c := Command{Name: "w", Engine: broken{new(enginetest.Engine)}}
	for _, args := range [][]string{{"bench"}, {"start", "--home", t.TempDir(), "--host", nobody}} {
		if code, _, stderr := run(c, args...); code != 1 || !strings.Contains(stderr, "cpu (test) gives wrong answers") {
			t.Errorf("%s: code %d, %s", args[0], code, stderr)
		}
	}
}

// With --json every line is one document that says what the worker does and why.
func TestStartJSON(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, in := io.Pipe()
	done := make(chan int, 1)
	go func() {
		c := Command{Name: "w", Engine: new(enginetest.Engine)}
		done <- c.Run(ctx, []string{"start", "--json", "--home", t.TempDir(), "--host", "assay://127.0.0.1:1#00112233445566778899aabbccddeeff"}, nil, in, io.Discard)
		in.Close()
	}()
	lines := json.NewDecoder(out)
	for {
		var s map[string]any
		if err := lines.Decode(&s); err != nil {
			t.Fatal(err)
		}
		if s["state"] == "" || s["reason"] == "" || s["time"] == "" {
			t.Errorf("status %v", s)
		}
		if next, _ := s["next"].(string); strings.Contains(next, "check that the host runs") {
			break
		}
	}
	cancel()
	go io.Copy(io.Discard, out)
	if code := <-done; code != 0 {
		t.Errorf("stopped with code %d", code)
	}
}
