// SPDX-License-Identifier: Apache-2.0

package transformer_test

import (
	"context"
	"fmt"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A worker builds the epoch's model once and runs nonces of its node; a checker
// does the same for single nonces and compares.
func Example() {
	seed1 := seed.Sprint1("assay-test", 7, seed.Seed{1})
	segment := seed.Segment(seed.Sprint2("assay-test", 7, seed.Seed{2}), 1, seed.Seed{})
	node := seed.Node("assay-test", "cpc1example", "gpu-0", "nano")

	model, err := transformer.Build(context.Background(), transformer.Nano, seed1, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	out := make([]transformer.Output, 2)
	if err := model.Run(out, node, segment, []uint64{0, 1}); err != nil {
		fmt.Println(err)
		return
	}
	for i, o := range out {
		fmt.Printf("nonce %d: norm %d, digest %x...\n", i, o.Norm, o.Digest[:8])
	}
	fmt.Println(transformer.Nano.MiOps(), "MiOP each")
	// Output:
	// nonce 0: norm 587151940748, digest 55c28226d7594e16...
	// nonce 1: norm 581499179097, digest fde4e384f30d4a2f...
	// 32 MiOP each
}
