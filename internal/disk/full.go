// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"slices"
	"strings"
)

// Full reports an error of a disk that has no room left, or of a quota that is used up.
func Full(err error) bool {
	return slices.ContainsFunc(noRoom, func(cause error) bool { return errors.Is(err, cause) })
}

// Explain is the error with which a program ends: one of a full disk says what helps, unless it
// does already. Others are left as they are, nil too.
func Explain(err error) error {
	if !Full(err) || strings.Contains(strings.ToLower(err.Error()), "free some space") {
		return err
	}
	return &explained{err}
}

type explained struct{ err error }

func (e *explained) Error() string {
	return e.err.Error() + "; the disk is full: free some space on it and start this again"
}

func (e *explained) Unwrap() error { return e.err }
