// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"context"
	"fmt"
	"os"

	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Anyone checks a file with nothing but this package.
func Example() {
	data, err := os.ReadFile("testdata/forged.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := evidence.Parse(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	finding, err := evidence.Verify(file,
		func(class transformer.Class, seed1 seed.Seed) (transformer.Model, error) {
			return transformer.Build(context.Background(), class, seed1, nil)
		})
	fmt.Println(finding.Forged, err)
	fmt.Println(file.Participant, "leaf", file.Nonce, "of", file.Node+":", finding.Reason)
	// Output:
	// true <nil>
	// cpc1host leaf 3 of gpu-0: the leaf's digest is not the unit's
}
