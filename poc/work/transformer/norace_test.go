// SPDX-License-Identifier: Apache-2.0

//go:build !race

package transformer

const underRace = false
