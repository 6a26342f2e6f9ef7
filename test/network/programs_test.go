// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	gonet "net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/assaynet/assay/cmd/assay/cli"
	"github.com/assaynet/assay/localnet"
)

// assay runs a command of the program in this process and returns what it prints.
func (n *net) assay(args ...string) string {
	n.t.Helper()
	var out, errs bytes.Buffer
	if code := cli.Run(n.ctx, args, strings.NewReader(""), &out, &errs); code != 0 {
		n.t.Fatalf("assay %s: exit %d\n%s%s", strings.Join(args, " "), code,
			out.String(), errs.String())
	}
	return strings.TrimSpace(out.String())
}

// spawn runs a command of the program as a process of its own until the test ends.
func (n *net) spawn(log string, args ...string) {
	n.t.Helper()
	f, err := os.Create(log)
	if err != nil {
		n.t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		f.Close()
		if n.t.Failed() {
			n.t.Logf("%s:\n%s", log, localnet.Tail(log, 40))
		}
	})
}

// ports returns free ones; they are held until all are known.
func ports(t *testing.T, count int) []string {
	t.Helper()
	var all []string
	for range count {
		l, err := gonet.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

func edit(t *testing.T, path string, replace map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for from, to := range replace {
		if !strings.Contains(text, from) {
			t.Fatalf("%s does not hold %q", path, from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
