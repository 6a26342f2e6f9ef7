// SPDX-License-Identifier: Apache-2.0

// Package delivery is what a machine signs when it hands leaves to its host,
// what the host signs back, and what either can show to others afterwards.
//
//	machine                                  host
//	Statement: order, first, count, root ->  checks it before it keeps the batch
//	                                     <-  Receipt: the statement, signed back
//
// The host commits to a node's leaves under its own name, so it audits them
// first, and leaves out a log with a wrong leaf. With the machine's signatures
// that is more than its word: Evidence holds the wrong leaves, each in a batch
// that the machine signed, and whoever reads it recomputes them. In the other
// direction a Receipt says that the host has all leaves of a segment up to a
// batch's end, whatever it commits to and pays later.
//
// A statement is about one batch. It does not cover what came before: a machine
// that was restarted has its earlier leaves no more, and never signs what a host
// tells it. It names everything that its leaves follow from (Order), so nobody
// can give it a seed today and hold another against it tomorrow.
//
// The root of a batch is an RFC 6962 tree over pages of 32 records. Hashing it
// costs what hashing the bytes costs, and evidence holds one page and at most
// five hashes a leaf.
//
// One wrong leaf is no fraud: memory flips bits. What convicts is how many are
// wrong of those that were checked, so these must not be chosen after the
// fact. An order carries a hash of the host's nonce, and of how many leaves it
// looks at; the machine signs it with every batch. Which leaves follow from the
// nonce, which the machine does not know, and the machine's last signature,
// which the host cannot make. A machine signs no leaf twice in two ways, and
// evidence holds no two batches that overlap: so a host cannot have leaves computed
// again until they are wrong. What is left to a host is where the log ends: it can
// hide batches from its own draw, against a Receipt of its own that says that it
// has them. Trying every end multiplies what the test of fraud allows, one machine
// in a million at the tolerated rate of faults, by the number of batches, a
// thousand or so. A log shorter than the sample shows no fraud.
//
// The rules are spec M-21 to M-25. Everything signed has one encoding: a tag and the fields, each
// behind its length, as package mpoc has it. JSON is strict: what Marshal writes is what parses,
// apart from white space.
package delivery
