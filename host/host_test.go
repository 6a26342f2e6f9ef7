// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func config() Config {
	return Config{Chain: "chain", Participant: "cpc1participant", GRPC: "127.0.0.1:9090",
		Key: "hot", KeyringBackend: "test",
		Listen: "127.0.0.1:0", Status: "127.0.0.1:0",
		Workers: map[string]string{"w1": strings.Repeat("ab", 32)}}
}

func TestConfigIsReadAsItWasWritten(t *testing.T) {
	home, want := t.TempDir(), config()
	want.Advertise = "host.example:4710"
	pool := DefaultPool()
	pool.Enabled, pool.PayKey, pool.MaxNodes, pool.DurationMS = true, "miner", 7, 5000
	want.Pool = &pool
	if err := want.Save(home); err != nil {
		t.Fatal(err)
	}
	got, err := Load(home)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The file that is written for a participant has every key with its meaning, also of what it does
// not use yet.
func TestTheWrittenConfigNamesEverything(t *testing.T) {
	home := t.TempDir()
	if err := config().Save(home); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(ConfigPath(home))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"advertise = ", "[pool]", "enabled = false", "pay_key = ",
		"max_nodes = ", "[workers]"} {
		if !strings.Contains(string(raw), "\n"+key) {
			t.Errorf("%q is not in\n%s", key, raw)
		}
	}
	if c, err := Load(home); err != nil || c.Pool == nil || c.Pool.Enabled {
		t.Errorf("read again: %+v, %v", c.Pool, err)
	}
}

// Amounts are read in coins, and written so that a person can read them; the rest of the host sees
// the base unit.
func TestAmountsOfTheConfig(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(pay, least string) {
		text := full("", "") + "[pool]\npay_per_tebiop = \"" + pay +
			"\"\nleast = \"" + least + "\"\n"
		if err := os.WriteFile(ConfigPath(home), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("0.5cpc", "1000acpc")
	for range 2 { // what is saved reads the same
		c, err := Load(home)
		if err != nil {
			t.Fatal(err)
		}
		if c.Pool.PayPerTebiop != "500000000000000000" || c.Pool.Least != "1000" {
			t.Errorf("read as %s and %s", c.Pool.PayPerTebiop, c.Pool.Least)
		}
		if err := c.Save(home); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(ConfigPath(home))
	if err != nil || !strings.Contains(string(raw), "pay_per_tebiop = \"0.5cpc\"") ||
		!strings.Contains(string(raw), "least = \"1000acpc\"") {
		t.Errorf("written as %s, %v", raw, err)
	}
	write("5eth", "1")
	if _, err := Load(home); err == nil || !strings.Contains(err.Error(), "1.5cpc") {
		t.Errorf("a coin that does not exist: %v", err)
	}
}

// A second host of a home is refused, and by a sentence that names the home and who has it.
func TestAHomeHasOneHost(t *testing.T) {
	home := t.TempDir()
	unlock, err := lock(home)
	if err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), config(), Options{Home: home})
	if err == nil || !strings.Contains(err.Error(), home) ||
		!strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("a second host: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = lock(home)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
}

// A section says only what differs.
func TestPoolDefaults(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ConfigPath(home), []byte(full("", "")+"[pool]\nenabled = true\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(home)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultPool()
	want.Enabled = true
	if diff := cmp.Diff(&want, got.Pool); diff != "" {
		t.Error(diff)
	}
}

func TestBadConfigIsRefusedWithTheReason(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"missing":         {"", "assay init participant"},
		"unknown key":     {"chian = \"x\"\n", "chian"},
		"empty":           {"chain = \"c\"\n", "participant is empty"},
		"foreign address": {full("participant", "cosmos1x"), "cpc1"},
		"bad node id": {full("", "") + "\n\"W 1\" = \"" + strings.Repeat("ab", 32) + "\"\n",
			"W 1"},
		"bad device key": {full("", "") + "\nw1 = \"abcd\"\n", "assay-worker id"},
		"pool: pay":      {full("", "") + "[pool]\npay_per_tebiop = \"1.5\"\n", "1.5cpc"},
		"pool: bans":     {full("", "") + "[pool]\nban_after = 0\n", "the least is 1"},
		"pool: unknown":  {full("", "") + "[pool]\npay = \"1\"\n", "pay"},
		"one key twice": {full("", "") + "\nw1 = \"" + strings.Repeat("ab",
			32) + "\"\nw2 = \"" + strings.Repeat("AB", 32) + "\"\n", "same device key"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if c.text != "" {
				if err := os.MkdirAll(filepath.Join(home, "config"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(ConfigPath(home), []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Load(home); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want it to say %q", err, c.want)
			}
		})
	}
}

// full is a configuration with one key replaced and an open [workers] table.
func full(key, value string) string {
	fields := map[string]string{"chain": "c", "participant": "cpc1x", "grpc": "a:1", "key": "hot",
		"keyring_backend": "test", "listen": "a:2", "status": ""}
	if key != "" {
		fields[key] = value
	}
	var b strings.Builder
	for k, v := range fields {
		b.WriteString(k + " = \"" + v + "\"\n")
	}
	return b.String() + "[workers]\n"
}
