// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"fmt"

	"github.com/assaynet/assay/poc/credit"
)

// A newcomer with most of the weight gets no more than a tenth of the power in one epoch.
func ExamplePowers() {
	powers := []credit.Share{{ID: "anna", Weight: 500_000}, {ID: "bela", Weight: 500_000}}
	weights := []credit.Share{{ID: "anna", Weight: 10}, {ID: "bela", Weight: 10},
		{ID: "carl", Weight: 980}}
	for range 3 {
		powers = credit.Powers(powers, weights, credit.DefaultRules())
		fmt.Println(powers)
	}
	// Output:
	// [{anna 450000} {bela 450000} {carl 100000}]
	// [{anna 400000} {bela 400000} {carl 200000}]
	// [{anna 350000} {bela 350000} {carl 300000}]
}

// Four names with next to no compute beside a large one: none has more than 6/5 of what it
// computed.
func ExampleCapped() {
	weights := []credit.Share{{ID: "large", Weight: 1_000}, {ID: "a", Weight: 1},
		{ID: "b", Weight: 1}, {ID: "c", Weight: 1}, {ID: "d", Weight: 1}}
	fmt.Println(credit.Capped(weights, credit.DefaultRules()))
	// Output:
	// [{large 995219} {a 1196} {b 1195} {c 1195} {d 1195}]
}
