// SPDX-License-Identifier: Apache-2.0

package poc_test

import (
	"context"
	"fmt"
	"os"

	"github.com/assaynet/assay/poc"
)

// Somebody hands you a file. Open says what it is, Cost what checking it takes, and Verify what it
// proves.
func Example() {
	data, err := os.ReadFile("evidence/testdata/forged.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, err := poc.Open(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	cost := doc.Cost()
	fmt.Printf("%s; to check it computes %d unit of %s %s: %d operations, %d MiB\n", doc.Kind(),
		cost.Units, cost.Work, cost.Spec, cost.Ops, cost.Memory>>20)

	report, err := doc.Verify(context.Background(), nil, poc.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Claim+":", report.Proves)
	fmt.Println("proven:", report.Proven)
	for _, what := range report.Assumed {
		fmt.Println("assumed:", what)
	}
	// Output:
	// evidence; to check it computes 1 unit of transformer/1 nano: 33554432 operations, 4 MiB
	// forged: the leaf's digest is not the unit's
	// proven: false
	// assumed: that the host key ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1 is the participant's
	// assumed: that the seeds, which that key signed, are the epoch's
	// assumed: that the chain accepted the commitment
}

// A chain keeps an anchor of every epoch for ever. With it, evidence is proven and convicts its
// host.
func ExampleOptions() {
	data, err := os.ReadFile("evidence/testdata/forged.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, err := poc.Open(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	evidence := doc.(*poc.Evidence)
	anchor, err := evidence.File.Anchor() // in earnest: from a node that you trust
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := doc.Verify(context.Background(), nil, poc.Options{Anchor: &anchor})
	fmt.Println(report.Proven, report.Accused == evidence.File.HostKey, err)

	anchor.Seed1[0] ^= 1 // another epoch
	_, err = doc.Verify(context.Background(), nil, poc.Options{Anchor: &anchor})
	fmt.Println(err)
	// Output:
	// true true <nil>
	// poc: not what the chain holds: the Seed_1 is 106e5950985a760718b4ea5c908aef90504aa7abf5481a160808fe751475a4a2 in the file and 116e5950985a760718b4ea5c908aef90504aa7abf5481a160808fe751475a4a2 on chain
}
