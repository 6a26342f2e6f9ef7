// SPDX-License-Identifier: Apache-2.0

// Package pool holds the tests of Merkle proof of compute between a real host
// (host/pool) and real machines (worker/pool), in one process over TLS on
// loopback: an honest day, both sides killed at every step, every known attack
// of a machine on its host, and hosts that cheat.
//
// Shapes are the smallest and times are short, but nothing is mocked: loops are
// computed by device/cpu, and looked at with it.
package pool
