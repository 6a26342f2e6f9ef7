// SPDX-License-Identifier: Apache-2.0

// Package api defines the messages exchanged between programs: the protobuf files under proto/ are
// the source of truth for every message between chain, hosts, workers and clients, and the folders
// beside it hold the Go code made from them. Nothing here decides anything; rules live with those
// who apply them.
package api

//go:generate ./generate.sh
