// SPDX-License-Identifier: Apache-2.0

package sprintv1

import "fmt"

// words are the phases as operators read them, in the order of the enum.
var words = [...]string{"none", "prepare", "compute", "wrap-up", "challenge", "proof", "draw",
	"validate", "reveal", "check", "dispute", "finalised", "serve"}

// Word is the phase in the word that logs, errors, events and status use.
func (p Phase) Word() string {
	if p >= 0 && int(p) < len(words) {
		return words[p]
	}
	return fmt.Sprintf("phase %d", p)
}
