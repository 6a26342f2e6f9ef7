// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assaynet/assay/adversary"
	"github.com/assaynet/assay/cmd/assay/cli"
	hostcli "github.com/assaynet/assay/host/cli"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/localnet"
)

// story is the account of a network while it grows.
type story struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *story) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits for the account to say something.
func (s *story) until(t *testing.T, ctx context.Context, words ...string) {
	t.Helper()
	for _, what := range words {
		if err := localnet.Until(ctx, what, func() (bool,
			error) {
			return strings.Contains(s.String(), what), nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// pidOf finds a process of a network as a person does, by its command line.
func pidOf(t *testing.T, role, home string) int {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(found) == 0 {
		t.Skip("this system does not list its processes in /proc")
	}
	for _, path := range found {
		raw, _ := os.ReadFile(path)
		args := strings.Split(string(raw), "\x00")
		if strings.Contains(strings.Join(args, " "), " "+role+" ") &&
			strings.Contains(string(raw), "--home\x00"+home+"\x00") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("no %s runs with --home %s", role, home)
	return 0
}

// A process of each kind is killed from outside: the account says it and starts it again, the epoch
// is finalised. Half of the validators are killed by command: the account, the hosts and the
// machines say that there is no block and why, until they are healed.
func TestAnyProcessMayBeKilled(t *testing.T) {
	home := filepath.Join(t.TempDir(), "net")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 4*time.Minute,
		fmt.Errorf("%s took more than 4 minutes", t.Name()))
	told, ended := &story{}, make(chan error, 1)
	go func() {
		ended <- localnet.Run(ctx, localnet.Options{Home: home, Participants: 4,
			Cheat: adversary.None, Params: quick(), BlockTime: 250 * time.Millisecond}, 1, told)
	}()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		_ = stop()
		if t.Failed() {
			t.Logf("the account:\n%s", told)
		}
	})
	order := func(do ...string) {
		t.Helper()
		var out bytes.Buffer
		if code := cli.Run(ctx, append([]string{"localnet", "--home", home}, do...), nil,
			&out, &out); code != 0 {
			t.Fatalf("%v: %s", do, &out)
		}
	}

	told.until(t, ctx, "  prepare    ") // its end
	for _, p := range []struct{ role, name, home string }{
		{"node", "p2 node", filepath.Join(home, "p2")},
		{"host", "p3 host", filepath.Join(home, "p3")},
		{"worker", "p4 worker", filepath.Join(home, "p4", "worker")},
	} {
		if err := syscall.Kill(pidOf(t, p.role, p.home), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		told.until(t, ctx,
			fmt.Sprintf("%s was killed; 3 of 4 %ss remain; it is started again in 5s", p.name,
				p.role), p.name+" is started again")
	}

	order("kill", "p3", "node")
	order("kill", "p4", "node")
	told.until(t, ctx, "2 of 4 nodes remain; it stays down until: ", "no block since ",
		"a third of the power or more is away",
		"of 4 validators are seen, with 50.0 % of the power", "(25.0 %)")
	c, err := host.Load(filepath.Join(home, "p1"))
	if err != nil {
		t.Fatal(err)
	}
	var s host.Status
	if err := localnet.Until(ctx, "host and machine of p1 to say it", func() (bool, error) {
		s, err = hostcli.Fetch(ctx, c.Status)
		return err == nil && len(s.Workers) == 1 &&
			strings.Contains(s.Workers[0].Until+s.Workers[0].Reason, "no block since"), err
	}); err != nil {
		t.Fatalf("%v: %+v", err, s)
	}
	if s.Until != 0 || s.Doing != "waiting: the chain stands still" ||
		!strings.Contains(s.Reason, "a third of the power or more is away") {
		t.Errorf("the host does %q for %q until block %d", s.Doing, s.Reason, s.Until)
	}
	order("heal")
	told.until(t, ctx, "the chain goes on with block ")

	select {
	case err := <-ended:
		ended <- err
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error(context.Cause(ctx))
	}
	for _, line := range []string{"epoch 1 finalised at block", " blocks, ", " leaves in ",
		"opened the drawn leaves", "members committed to a verdict"} {
		if !strings.Contains(told.String(), line) {
			t.Errorf("the account lacks %q", line)
		}
	}
	for _, line := range strings.Split(told.String(), "\n") {
		if strings.HasPrefix(line, "  participant") && len(line) > 80 {
			t.Errorf("a table of %d columns: %s", len(line), line)
		}
	}
}

// A network that exists keeps what it was made with: a flag that says otherwise is refused by its
// name.
func TestFlagsThatContradictANetworkAreRefused(t *testing.T) {
	home := filepath.Join(t.TempDir(), "net")
	n, err := localnet.New(localnet.Options{Home: home, Participants: 2, Cheat: adversary.Skip})
	if err != nil {
		t.Fatal(err)
	}
	n.Stop()
	for _, flag := range []string{"--participants=3", "--cheat=none", "--pool"} {
		var out bytes.Buffer
		code := cli.Run(t.Context(), []string{"localnet", "--home", home, flag, "--epochs", "1"},
			nil, &out, &out)
		for _, part := range []string{strings.SplitN(flag, "=", 2)[0], "was made with",
			"leave the flag out", "--home"} {
			if code == 0 || !strings.Contains(out.String(), part) {
				t.Errorf("%s: exit %d: %s", flag, code, &out)
			}
		}
	}
	n, err = localnet.New(localnet.Options{Home: home, Participants: 2, Cheat: adversary.Skip,
		Asked: []string{"participants", "cheat", "pool"}})
	if err != nil {
		t.Fatalf("flags that agree: %v", err)
	}
	n.Stop()
}
