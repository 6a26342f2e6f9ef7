// SPDX-License-Identifier: Apache-2.0

package cuda_test

import (
	"context"
	"fmt"
	"io"

	"github.com/assaynet/assay/device/cuda"
	"github.com/assaynet/assay/poc/work"
)

// A device is tested before it is used, and given back. (This example compiles and
// is not run: what it prints depends on the machine.)
func Example() {
	ctx := context.Background()
	devices, err := cuda.Devices()
	if err != nil {
		fmt.Println(err) // says what to install
		return
	}
	for i, d := range devices {
		engine, err := cuda.Open(ctx, i)
		if err != nil {
			fmt.Println(err)
			continue
		}
		if err := work.SelfTest(ctx, engine); err != nil {
			fmt.Printf("%s is not used: %v\n", d.Name, err)
		} else {
			fmt.Printf("%s computes as %s\n", d.Name, engine.Name())
		}
		if err := engine.(io.Closer).Close(); err != nil {
			fmt.Println(err)
		}
	}
}
