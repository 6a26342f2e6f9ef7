// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"os"
	"runtime"
)

// Threads lets Go run more threads at a time than there are processors, unless the
// environment's GOMAXPROCS says how many. It is for a program that is a host,
// which calls it at its start.
//
// A worker's acknowledgement waits for the disk. The runtime notices a thread that
// waits in a flush after up to 10 ms and till then runs nothing in its place: with
// two of them all else stands still, beside a disk that needs a third of a
// millisecond. The same goes for audits, of which each has its thread to itself
// for 10 ms, where the kernel lets who waited go first.
func Threads() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(8, 4*runtime.GOMAXPROCS(0)))
	}
}
