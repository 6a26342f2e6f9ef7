// SPDX-License-Identifier: Apache-2.0

// Package pipe keeps a program alive whose log nobody reads any longer.
package pipe

import (
	"os"
	"os/signal"
	"syscall"
)

// Survive lets writes to a standard output or error whose reader is gone fail with EPIPE. Without
// it Go ends the program at the first of them: a log reader that died took a node or a worker with
// it. Programs that this one starts are not concerned.
func Survive() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
