// SPDX-License-Identifier: Apache-2.0

package work_test

import (
	"context"
	"fmt"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Whoever starts an engine tests it first, and then does not care which it is.
func Example() {
	ctx := context.Background()
	engine := work.Reference()
	if err := work.SelfTest(ctx, engine); err != nil {
		fmt.Println(err)
		return
	}
	shape := matmul.Shape{M: 512, K: 256, Q: 512}
	digests := make([][32]byte, 2)
	if err := engine.Matmul(ctx, digests, seed.Seed{1}, shape, []uint64{0, 1}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %x..., %x...\n", engine.Name(), digests[0][:4], digests[1][:4])
	// Output: reference: c28ad280..., b8819f7c...
}
