// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/client"
)

// The connection to the node goes past the proxies that the environment names, which
// are for the web. The environment is read once in a process, so this is another one;
// and a proxy is never asked for addresses of the loopback, so this is not one.
func TestTheNodeIsNotBehindAProxy(t *testing.T) {
	if os.Getenv("ASSAY_TEST_PROXY") == "" {
		child := exec.CommandContext(t.Context(), os.Args[0],
			"-test.run=^TestTheNodeIsNotBehindAProxy$", "-test.v")
		dead := "http://127.0.0.1:1"
		child.Env = append(os.Environ(), "ASSAY_TEST_PROXY=1", "HTTPS_PROXY="+dead,
			"HTTP_PROXY="+dead, "https_proxy="+dead, "http_proxy="+dead, "NO_PROXY=", "no_proxy=")
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	conn, err := client.DialNode(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	// The node knows no such service, and says so: it was reached.
	_, err = sprintv1.NewQueryClient(conn).Current(ctx, &sprintv1.QueryCurrentRequest{},
		grpc.WaitForReady(false))
	if status.Code(err) != codes.Unimplemented {
		t.Fatalf("got %v", err)
	}
}
