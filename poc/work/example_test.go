// SPDX-License-Identifier: Apache-2.0

package work_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

// Anyone who starts an engine tests it first, and then does not care which it is.
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

// A kind of work is a value: its sizes by name, what a unit counts, and what computes it on an
// engine.
func ExampleOn() {
	ctx := context.Background()
	kind, spec, err := work.Kinds().Find("nano")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(kind.Name(), spec.Text, kind.Price(spec).Ops, "operations a unit")
	// Sprint_Seed_1, the node's, the segment's
	job := work.Job{Kind: kind, Spec: spec, Seeds: []seed.Seed{{1}, {2}, {3}}}
	computer, err := work.On(ctx, work.Reference(), job)
	if err != nil {
		fmt.Println(err)
		return
	}
	bodies := make([]byte, 2*spec.Body)
	if err := computer.Units(ctx, bodies, []uint64{0, 1}); err != nil {
		fmt.Println(err)
		return
	}
	want, err := kind.Check(ctx, computer, 1, bodies[spec.Body:])
	fmt.Println(spec.Body, "bytes each; unit 1 is right:",
		bytes.Equal(want, bodies[spec.Body:]), err)
	// Output:
	// transformer/1 nano 33554432 operations a unit
	// 40 bytes each; unit 1 is right: true <nil>
}
