// SPDX-License-Identifier: Apache-2.0

package crew

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is the children's program too.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "stay":
		time.Sleep(time.Minute)
		os.Exit(0)
	case len(os.Args) > 1 && os.Args[1] == "fail":
		fmt.Println("assay: the disk is full. Free some space")
		os.Exit(4)
	}
	os.Exit(m.Run())
}

// crewOf starts two nodes and a host, each a process that stays.
func crewOf(t *testing.T) *Crew {
	t.Helper()
	c := &Crew{Program: os.Args[0], Heal: "assay localnet heal --home H"}
	dir := t.TempDir()
	for _, name := range []string{"p1 node", "p2 node", "p1 host"} {
		who, role, _ := strings.Cut(name, " ")
		p := c.Of(who, role)
		p.Log, p.Args = filepath.Join(dir, name), []string{"stay"}
		if err := p.Start(c.Program); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Signal(syscall.SIGKILL) })
	}
	return c
}

// await calls Tend until it says something.
func await(t *testing.T, c *Crew, now time.Time) string {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); time.Sleep(
		2 * time.Millisecond) {
		if said := c.Tend(now); len(said) > 0 {
			return strings.Join(said, "\n")
		}
	}
	t.Fatal("nothing was said")
	return ""
}

// outside kills a process as a person does from another terminal.
func outside(t *testing.T, p *Process) {
	t.Helper()
	child, err := os.FindProcess(p.PID())
	if err == nil {
		err = child.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A process that somebody killed is a line, and runs again after five seconds, not before.
func TestAKilledProcessIsSaidAndStartedAgain(t *testing.T) {
	c, now := crewOf(t), time.Now()
	p := c.Of("p2", "node")
	outside(t, p)
	if said, want := await(t, c, now),
		"p2 node was killed; 1 of 2 nodes remain; it is started again in 5s"; said != want {
		t.Errorf("said %q, want %q", said, want)
	}
	if said := c.Tend(now.Add(4 * time.Second)); len(said) > 0 || p.PID() != 0 {
		t.Errorf("after 4 s: %q", said)
	}
	if said := c.Tend(now.Add(5 * time.Second)); len(said) != 1 ||
		said[0] != "p2 node is started again" || p.PID() == 0 {
		t.Errorf("after 5 s: %q", said)
	}
}

// One that ends again and again is tried less and less often, up to once a minute, and its last
// words are said.
func TestACrashIsTriedLessAndLessOften(t *testing.T) {
	c, now := crewOf(t), time.Now()
	p := c.Of("p2", "node")
	p.Args = []string{"fail"}
	outside(t, p)
	await(t, c, now)
	for i, wait := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second,
		time.Minute, time.Minute} {
		now = now.Add(time.Minute)
		c.Tend(now) // starts it
		want := fmt.Sprintf("p2 node ended (exit status 4), saying: assay: the disk is full. "+
			"Free some space, %d times in a row; 1 of 2 nodes remain; it is started again in %s",
			i+2, wait)
		if said := await(t, c, now); said != want {
			t.Errorf("said %q, want %q", said, want)
		}
	}
}

// What stays down is said with the command that starts it, and the network is over when nothing is
// left.
func TestRestartNoLeavesDownWhatEnds(t *testing.T) {
	c, now := crewOf(t), time.Now()
	c.Stay = true
	for i, name := range []string{"p1 host", "p1 node", "p2 node"} {
		if c.Over() {
			t.Fatalf("over with %d processes left", 3-i)
		}
		who, role, _ := strings.Cut(name, " ")
		outside(t, c.Of(who, role))
		if said := await(t, c, now); !strings.HasSuffix(said, "it stays down, until: assay "+
			"localnet heal --home H "+name) {
			t.Error(said)
		}
	}
	if said := c.Tend(now.Add(time.Hour)); len(said) > 0 || !c.Over() {
		t.Errorf("after an hour %q, over %t", said, c.Over())
	}
}

// Killed by command it stays down until heal, whoever else comes back; both act on a network that
// runs, and on no other.
func TestKillAndHeal(t *testing.T) {
	c, home := crewOf(t), t.TempDir()
	ask := func(do string, words ...string) (string, error) {
		lines, err := Ask(t.Context(), home, do, words)
		return strings.Join(lines, "\n"), err
	}
	if _, err := ask("kill", "p2", "node"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("of no network: %v", err)
	}
	if err := c.Serve(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	if found := Running(t.Context(), filepath.Dir(home), filepath.Base(home)); len(found) != 1 ||
		found[0] != home {
		t.Errorf("%v run", found)
	}
	for _, words := range [][]string{nil, {"p3"}, {"p2", "host"}, {"p2", "node", "now"}} {
		if _, err := ask("kill", words...); err == nil ||
			!strings.Contains(err.Error(), "p1 to p2, alone or with node, host") {
			t.Errorf("kill %v: %v", words, err)
		}
	}
	said, err := ask("kill", "p2", "node")
	if want := "p2 node was killed, as you asked; 1 of 2 nodes remain; it stays down until: " +
		"assay localnet heal --home H p2 node"; said != want || err != nil {
		t.Errorf("kill said %q, %v", said, err)
	}
	p := c.Of("p2", "node")
	if lines := c.Tend(time.Now().Add(time.Hour)); len(lines) != 1 || p.PID() != 0 || c.Over() {
		t.Errorf("an hour later: %q, process %d, over %t", lines, p.PID(), c.Over())
	}
	if said, err := ask("heal"); said != "p2 node is started again" || err != nil || p.PID() == 0 {
		t.Errorf("heal said %q, %v", said, err)
	}
	if said, err := ask("heal"); said != "nothing is down" || err != nil {
		t.Errorf("heal said %q, %v", said, err)
	}
	if said, err := ask("kill", "p1"); strings.Count(said, "was killed") != 2 || err != nil {
		t.Errorf("kill p1 said %q, %v", said, err)
	}
}

// Another program of this machine finds the port, and has not the word.
func TestCommandsAreForWhoMayReadTheFolder(t *testing.T) {
	c, home := crewOf(t), t.TempDir()
	if err := c.Serve(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, ControlFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := strings.Index(string(raw), `"token":"`) + len(`"token":"`)
	other := append([]byte(nil), raw...)
	if other[i]++; other[i] > 'f' {
		other[i] = '0'
	}
	if err := os.WriteFile(path, other, 0o600); err != nil {
		t.Fatal(err)
	}
	if lines, err := Ask(t.Context(), home, "kill", []string{"p2"}); err == nil ||
		c.Of("p2", "node").PID() == 0 {
		t.Errorf("killed by a stranger: %q", lines)
	}
}
