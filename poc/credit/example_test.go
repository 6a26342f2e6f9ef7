// SPDX-License-Identifier: Apache-2.0

package credit_test

import (
	"fmt"

	"github.com/assaynet/assay/poc/credit"
)

// A newcomer with most of the weight gets no more than a third in one epoch.
func ExamplePowers() {
	powers := []credit.Share{{ID: "anna", Weight: 500_000}, {ID: "bela", Weight: 500_000}}
	weights := []credit.Share{{ID: "anna", Weight: 10}, {ID: "bela", Weight: 10}, {ID: "carl", Weight: 980}}
	for range 3 {
		powers = credit.Powers(powers, weights, credit.DefaultRules())
		fmt.Println(powers)
	}
	// Output:
	// [{anna 333334} {bela 333333} {carl 333333}]
	// [{anna 308334} {bela 308333} {carl 383333}]
	// [{anna 308334} {bela 308333} {carl 383333}]
}
