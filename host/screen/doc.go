// SPDX-License-Identifier: Apache-2.0

// Package screen shows a host's status to its operator: the phase and how far it is, what the host
// does and what it waits for, what needs the operator, messages, disk, machines, pool, payments,
// and the outcome of the last epoch.
//
// [Render] makes lines of a status, for a terminal of a size, and is all there is to test without
// one. [Run] shows it, twice a second, until q or ctrl-C; [Text] is the same for `assay host
// status`.
//
// What is wrong stands first, and of machines the worst are first. Lists are cut so that the
// picture fits the window, and say how many entries are left out; --json has all. Colour is for
// emphasis only, never the sole carrier of a meaning.
package screen
