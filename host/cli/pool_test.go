// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/work"
)

// `assay host pool` shows every page of what the running host lists, as a table and as JSON, and says why it cannot.
func TestPoolShowsTheAccounts(t *testing.T) {
	due, err := ledger.ParseAmount("340000000000000000000")
	if err != nil {
		t.Fatal(err)
	}
	first := host.Account{Account: ledger.Account{Device: ledger.Device{1}, Strikes: 3, Banned: true, Reason: "3 of 3 leaves are wrong"}, Estimated: "0"}
	second := host.Account{Account: ledger.Account{Device: ledger.Device{2}, Due: due}, Node: "m-020000000000", Estimated: "77"}
	off := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := host.Accounts{Accounts: []host.Account{first}, Next: &first.Device}
		switch {
		case off:
			http.Error(w, "pool mode is off", http.StatusNotFound)
			return
		case r.URL.Query().Get("after") == first.Device.String():
			page = host.Accounts{Accounts: []host.Account{second}}
		}
		if err := json.NewEncoder(w).Encode(page); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	home := t.TempDir()
	c := host.Config{Chain: "chain", Participant: "cpc1x", GRPC: "127.0.0.1:1", Key: "hot", KeyringBackend: "test", Listen: "127.0.0.1:0",
		Status: strings.TrimPrefix(server.URL, "http://"), Pool: host.DefaultPool()}
	if err := c.Save(home); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := New(func(context.Context) work.Engine { return nil }, func(string) (*host.Tamper, error) { return nil, nil })
		cmd.SetArgs(append(args, "--home", home))
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	table, err := run("pool")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "KEY") || !strings.Contains(lines[1], "3 banned") || !strings.HasSuffix(lines[1], first.Reason) ||
		!strings.Contains(lines[2], second.Node) || !strings.Contains(lines[2], due.String()) {
		t.Errorf("table:\n%s", table)
	}
	text, err := run("pool", "--json")
	var all []host.Account
	if jerr := json.Unmarshal([]byte(text), &all); err != nil || jerr != nil || len(all) != 2 || all[1].Estimated != "77" {
		t.Errorf("%s; %v, %v", text, err, jerr)
	}
	off = true
	if _, err := run("pool"); err == nil || !strings.Contains(err.Error(), "pool mode is off") {
		t.Errorf("got %v", err)
	}
}
