// SPDX-License-Identifier: Apache-2.0

//go:build !darwin && !freebsd && !linux && !windows

package disk

import "errors"

var noRoom []error

func of(string) (Space, error) { return Space{}, errors.ErrUnsupported }
