// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"fmt"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/credit"
	"github.com/assaynet/assay/poc/seed"
)

// From a beacon to credit: draw, look, judge, count.
func Example() {
	const count, n = 50_000, 200
	s := seed.Samples("assay-test", 7, "cpc1example", seed.Seed{1})
	drawn := audit.Draw(s, count, n)
	fmt.Println("first drawn:", drawn[:3])

	faults := audit.Rate{Num: 1, Den: 10_000}
	fmt.Println("fail from:", audit.Threshold(n, faults, audit.Rate{Num: 1, Den: 100_000}))
	fmt.Println("1 mismatch by chance:", audit.Tail(n, 1, faults))
	fmt.Println("2 % forged is caught:", audit.Detection(count, count/50, n, 3))

	bound := audit.Upper(0, n, audit.Rate{Num: 1, Den: 20})
	fmt.Println("at most bad:", bound)
	fmt.Println("credited:", credit.Credited(count, bound))
	// Output:
	// first drawn: [5 120 226]
	// fail from: 3
	// 1 mismatch by chance: 0.0198023
	// 2 % forged is caught: 0.765436
	// at most bad: 0.014867
	// credited: 49256
}
