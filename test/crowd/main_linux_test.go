// SPDX-License-Identifier: Apache-2.0

package crowd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// long is the whole size and length; otherwise a small crowd for seconds.
var long = os.Getenv("ASSAY_LONG") != ""

// roleVar makes the test program one of the processes of a crowd.
const roleVar = "ASSAY_CROWD_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func(context.Context, port) error{"host": serve, "idle": idle,
		"batches": sendBatches, "miners": mine, "hostile": harass}
	role := os.Getenv(roleVar)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := roles[role](ctx, port{json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)}); err !=
		nil && !errors.Is(err, io.EOF) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		os.Exit(1)
	}
}

// port is a child's end of the conversation with the test: a plan comes first,
// then questions, each with one answer, until the test closes its end.
type port struct {
	in  *json.Decoder
	out *json.Encoder
}

// child is a process of the crowd.
type child struct {
	t    testing.TB
	role string
	in   io.WriteCloser
	out  *json.Decoder
	cmd  *exec.Cmd
}

// start begins a role. It ends with the test, or by stop.
func start(t testing.TB, role string, plan any) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	// in life they use processors of their own; here the last one, and that last
	if role == "hostile" {
		args := []string{"nice", "-n", "19", os.Args[0]}
		if last := runtime.NumCPU() - 1; last > 0 {
			args = append([]string{"taskset", "-c", strconv.Itoa(last)}, args...)
		}
		cmd = exec.Command(args[0], args[1:]...)
	}
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t, role, in, json.NewDecoder(out), cmd}
	t.Cleanup(c.stop)
	c.tell(plan)
	return c
}

// stop closes the conversation and waits for the process.
func (c *child) stop() {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("%s: %v", c.role, err)
	}
}

func (c *child) tell(v any) {
	c.t.Helper()
	if err := json.NewEncoder(c.in).Encode(v); err != nil {
		c.t.Fatalf("telling %s: %v", c.role, err)
	}
}

// hear reads one answer.
func hear[A any](c *child) (a A) {
	c.t.Helper()
	if err := c.out.Decode(&a); err != nil {
		c.t.Fatalf("hearing %s: %v", c.role, err)
	}
	return a
}
