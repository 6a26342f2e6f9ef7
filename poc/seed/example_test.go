// SPDX-License-Identifier: Apache-2.0

package seed_test

import (
	"fmt"

	"github.com/assaynet/assay/poc/seed"
)

// From the chain's beacon to one unit of one node.
func Example() {
	values := []seed.Seed{{1}, {2}, {3}} // beacon values after a deadline
	mix := seed.BeaconMix("assay-test", 100, values)
	sprint2 := seed.Sprint2("assay-test", 7, mix)
	segment := seed.Segment(sprint2, 2, seed.Seed{4})
	node := seed.Node("assay-test", "cpc1example", "gpu-0", "nano")
	fmt.Println(seed.Input(node, segment, 12345))
	// Output: 95d4ae2fbe4560fc9651f18c06a2f28ff93fcfc9fba72e4891bea0b61843597c
}
