// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/assaynet/assay/chain/app"
)

// counting counts the connections that a listener accepts.
type counting struct {
	net.Listener
	accepted atomic.Int32
}

func (l *counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return conn, err
}

// everywhere listens at all addresses of this machine: unlike the loopback, which no library sends
// through a proxy, its address is one that only our rule keeps within.
func everywhere(t *testing.T) *counting {
	t.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	return &counting{Listener: l}
}

// A node in a private network is asked directly, by RPC and by gRPC, whatever proxy the environment
// names; any other through the proxy, which the error names when it is in the way. The environment
// is read once in a process by some libraries, so this is another one.
func TestNodesAndProxies(t *testing.T) {
	if os.Getenv("ASSAY_TEST_PROXY") == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNodesAndProxies$",
			"-test.v")
		dead := "http://127.0.0.1:1"
		child.Env = append(os.Environ(), "ASSAY_TEST_PROXY=1", "HTTPS_PROXY="+dead,
			"HTTP_PROXY="+dead, "https_proxy="+dead, "http_proxy="+dead, "NO_PROXY=", "no_proxy=")
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	address, err := app.Addresses().BytesToString(make([]byte, 20))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) error {
		root := &cobra.Command{Use: "assay", SilenceErrors: true, SilenceUsage: true}
		root.AddCommand(Commands(nil)...)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(append([]string{"query", "bank", "balances", address, "--home", t.TempDir()},
			args...))
		return root.ExecuteContext(t.Context())
	}
	rpc := everywhere(t)
	web := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = web.Serve(rpc) }()
	t.Cleanup(func() { _ = web.Close() })
	if err := ask("--node", "tcp://"+rpc.Addr().String()); err == nil || rpc.accepted.Load() == 0 {
		t.Errorf("by RPC: %d connections, %v", rpc.accepted.Load(), err)
	}
	services := everywhere(t)
	server := grpc.NewServer()
	go func() { _ = server.Serve(services) }()
	t.Cleanup(server.Stop)
	if err := ask("--grpc-addr", services.Addr().String(), "--grpc-insecure"); err == nil ||
		!strings.Contains(err.Error(), "unknown service") {
		t.Errorf("by gRPC: %d connections, %v", services.accepted.Load(), err)
	}
	if err := ask("--node", "tcp://192.0.2.7:26657"); err == nil ||
		!strings.Contains(err.Error(), "proxy http://127.0.0.1:1") ||
		!strings.Contains(err.Error(), "NO_PROXY") {
		t.Errorf("a public address behind a dead proxy: %v", err)
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(proxy.Close)
	t.Setenv("http_proxy", proxy.URL)
	t.Setenv("HTTP_PROXY", proxy.URL)
	if err := ask("--node", "tcp://192.0.2.7:26657"); err == nil ||
		!strings.Contains(err.Error(), "418") {
		t.Errorf("a public address behind a proxy: %v", err)
	}
}
