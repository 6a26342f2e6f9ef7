// SPDX-License-Identifier: Apache-2.0

package audit

import "fmt"

// Verdict is what a checker says about a claim.
type Verdict uint8

const (
	// Unspecified is no verdict: not revealed, or not yet.
	Unspecified Verdict = iota
	// Pass says that the mismatches found, if any, are within the fault bound.
	Pass
	// Fail says that they are not.
	Fail
	// Abstain says that the checker could not check. It counts for no side.
	Abstain
)

// String returns the verdict in lower case.
func (v Verdict) String() string {
	switch v {
	case Unspecified:
		return "unspecified"
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	case Abstain:
		return "abstain"
	default:
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
}
