// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/fleet"
)

// `assay host status` is text of 80 columns for people, and with --json all of it for programs.
func TestStatus(t *testing.T) {
	want := host.Status{Participant: "cpc1participant", Chain: "chain",
		WorkersURL: "assay://192.0.2.7:1#00", Height: 12, Reachable: true, Phase: "compute",
		Doing:  "computing",
		Reason: strings.Repeat("a long reason ", 20), Queue: []string{"ready/1"},
		Workers: []fleet.WorkerStatus{{Node: "w1", State: "away", Reason: "not connected"}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(want)
	}))
	defer server.Close()
	home := t.TempDir()
	c := host.Config{Chain: "chain", Participant: "cpc1participant", GRPC: "127.0.0.1:9090",
		Key: "hot", KeyringBackend: "test", Listen: "127.0.0.1:0",
		Status: strings.TrimPrefix(server.URL, "http://")}
	if err := c.Save(home); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		cmd := New(nil, nil)
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"status", "--home", home}, args...))
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	text := run()
	for _, has := range []string{"computing: a long reason", "ready/1", "w1", "not connected",
		"0 of 1 connected"} {
		if !strings.Contains(text, has) {
			t.Errorf("%q is missing in\n%s", has, text)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if len([]rune(line)) > 80 || strings.Contains(line, "\x1b") {
			t.Errorf("%q", line)
		}
	}
	var got host.Status
	if err := json.Unmarshal([]byte(run("--json")), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What a host refuses is said in its own sentence; what is no refusal names who failed, and where
// to look.
func TestARefusalIsASentence(t *testing.T) {
	answers := map[string]struct {
		code int
		body string
		want string
	}{
		"refused": {http.StatusConflict, "this host has no pool: start it with assay host " +
			"--pool\n", "this host has no pool: start it with assay host --pool"},
		"failed": {http.StatusInternalServerError, "ledger: disk full\n", "failed at it: ledger: " +
			"disk full; see its log"},
		"another": {http.StatusNotFound, "<html>", "is not this program's host (it says 404 " +
			"Not Found): check status in host.toml"},
		"no document": {http.StatusOK, "<html>", "status of the host at"},
	}
	server := httptest.NewServer(nil)
	defer server.Close()
	for name, a := range answers {
		server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(a.code)
			_, _ = w.Write([]byte(a.body))
		})
		home := t.TempDir()
		c := host.Config{Chain: "chain", Participant: "cpc1participant", GRPC: "127.0.0.1:9090",
			Key: "hot", KeyringBackend: "test", Listen: "127.0.0.1:0",
			Status: strings.TrimPrefix(server.URL, "http://")}
		if err := c.Save(home); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"payments"}, {"payments", "resolve"},
			{"pool"}, {"status"}} {
			cmd := New(nil, nil)
			cmd.SetArgs(append(args, "--home", home))
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), a.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %v: %v; want %q", name, args, err, a.want)
			}
		}
	}
}
