// SPDX-License-Identifier: Apache-2.0

// Peers compares the cpu engine with the libraries that others multiply with, on
// the same matrices, in one process and one run:
//
//	make bench-peers
//	go run ./test/peers -n 4096 -turns 3 -json
//
// OpenBLAS and oneDNN are loaded at run time as the system has them. torch, where
// python3 has it, computes in a child that waits for its turn at a pipe. What is
// not installed is named and left out; -install asks apt-get for it first.
//
// A figure is 10^9 operations per second, a multiplication and an addition being
// two, from the median over the turns. Contestants take turns, so that what else
// the machine does hits them all. On one thread time is the thread's own CPU
// time; on more it is the clock's, which says something on an idle machine only.
// Threads of a library spin for a while when its work is done: nobody starts
// before the process has come to rest, and so every library keeps its own
// settings. Those that the environment makes are taken away.
//
// Our whole loop makes its matrices from a seed, multiplies, condenses and hashes;
// its digests are tested elsewhere. All others, our product alone among them, find
// matrices in memory, pack them as they like and store the product.
//
// Every contestant is also checked for exactness: on random bytes, and on large ones, whose
// sums come close to the limit that n sets. Rows that plain Go computes decide.
// The question matters. Without instructions of the VNNI kind the int8 products of
// libraries saturate, and a float holds whole numbers up to 2^24 only.
package main
