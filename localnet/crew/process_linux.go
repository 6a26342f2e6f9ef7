// SPDX-License-Identifier: Apache-2.0

package crew

import "syscall"

// childAttributes: an own process group, so that Ctrl-C at the terminal reaches only localnet,
// which then ends its children in order; and death with the parent, so that nothing is left behind.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
