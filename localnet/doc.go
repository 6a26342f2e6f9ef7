// SPDX-License-Identifier: Apache-2.0

// Package localnet runs a whole network on one machine: for every participant a validator, a host
// and a worker, each a process of its own, so that killing one is really killing one.
//
//	Network  makes keys, genesis and configurations in one folder, starts and stops the processes, answers queries
//	Run      is `assay localnet`: a Network, a live account of its phases, and a table at the end of each epoch
//
//	crew     keeps the processes running, and takes kill and heal from other terminals
//
// The account ends only with the person who reads it, or when no process is left: what ends is a
// line, and comes back. Whether the chain goes on is judged by its height, and why not is the
// nodes' to say (registry.v1.Local).
//
// Everything a network is lies in its folder: stop it at any moment and start it again from there.
package localnet
