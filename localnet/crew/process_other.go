// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package crew

import "syscall"

// childAttributes: nothing portable; Ctrl-C reaches the children too, which end by it.
func childAttributes() *syscall.SysProcAttr { return nil }
