// SPDX-License-Identifier: Apache-2.0

// Assay-worker turns a machine into a worker of an Assay host. See worker/cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/internal/pipe"
	"github.com/assaynet/assay/worker/cli"
)

func main() {
	pipe.Survive()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	command := cli.Command{Name: "assay-worker", Backends: device.Backends()}
	code := command.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
