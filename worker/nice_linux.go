// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// setNice lowers the priority of the process. On Linux that is a property of
// each thread, handed on to those it starts; so every thread is told.
func setNice(level int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("worker: nice: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, level); err != nil &&
			err != syscall.ESRCH {
			return fmt.Errorf("worker: nice %d: %w", level, err)
		}
	}
	return nil
}
