// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package worker

import "errors"

// setNice is for Linux; elsewhere the owner starts the worker under nice(1).
func setNice(int) error { return errors.New("worker: --nice works on Linux; use nice(1)") }
