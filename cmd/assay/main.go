// SPDX-License-Identifier: Apache-2.0

// Command assay runs the network: a node, a host, a whole network on one machine, and the tools
// around them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/assaynet/assay/cmd/assay/cli"
	"github.com/assaynet/assay/internal/pipe"
)

func main() {
	pipe.Survive()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
