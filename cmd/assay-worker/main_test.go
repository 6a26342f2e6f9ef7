// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The machine's program stays small: it links no chain and no host.
func TestLinksNoChain(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		for _, bad := range []string{"cosmos", "cometbft", "assay/host", "assay/chain", "assay/dash", "google.golang.org/grpc"} {
			if strings.Contains(dep, bad) {
				t.Errorf("links %s", dep)
			}
		}
	}
}
