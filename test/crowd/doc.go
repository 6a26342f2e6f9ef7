// SPDX-License-Identifier: Apache-2.0

// Package crowd holds one host against very many machines.
//
//	make crowd                       # seven minutes, prints its figures
//	go test ./test/crowd             # a small crowd, in seconds
//
// The test program starts itself again for every part: a host, and processes
// that each play many machines. Every machine has its own key, its own TLS
// connection and its own source address out of 127.0.0.0/8, so that limits by
// key and by address count as they would outside. What a host costs is what its
// process costs.
//
// TestIdle connects workers that have nothing to do, to the fleet and to the
// pool's socket: time to connect, memory and the price of pings.
//
// TestSubmissions has miners submit as fast as they can. Everything in it is
// computed: their loops, and the audits, in full since the keys are new.
//
// TestHonestBesideHostile times how long honest machines wait for their
// acknowledgements, alone and beside ten times as many hostile ones, which are
// silent, slow, deaf, lying, flapping, unknown, ever new, too large, forged or
// mute. Those run at the lowest priority, since in life they bring their own
// processors, and still share this machine: a second host that they leave alone
// shows how much of a delay is the machine's.
//
// The small crowd asserts what must hold at any size and speed: all honest work
// is taken, and no honest machine is refused or dropped. It asserts no times.
package crowd
