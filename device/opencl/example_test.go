// SPDX-License-Identifier: Apache-2.0

package opencl_test

import (
	"context"
	"fmt"

	"github.com/assaynet/assay/device/opencl"
	"github.com/assaynet/assay/poc/work"
)

// Anyone who uses a device tests it first.
func Example() {
	ctx := context.Background()
	devices, err := opencl.Devices()
	if err != nil {
		fmt.Println(err) // and what to install
		return
	}
	for i, d := range devices {
		engine, err := opencl.Open(ctx, i)
		if err != nil {
			fmt.Println(d.Name, err)
			continue
		}
		fmt.Println(d.Name, engine.Name(), work.SelfTest(ctx, engine))
		engine.(interface{ Close() error }).Close()
	}
}
