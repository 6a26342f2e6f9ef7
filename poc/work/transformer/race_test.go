// SPDX-License-Identifier: Apache-2.0

//go:build race

package transformer

// The race detector slows products down by an order of magnitude and finds
// nothing new in the hundredth nonce.
const underRace = true
