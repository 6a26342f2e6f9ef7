// SPDX-License-Identifier: Apache-2.0

//go:build !(linux && (amd64 || arm64))

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "peers: the libraries are loaded on Linux only, on amd64 and arm64")
	os.Exit(1)
}
