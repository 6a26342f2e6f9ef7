// SPDX-License-Identifier: Apache-2.0

// Package workerv1 is the protocol between a machine (worker) and its host.
//
// The messages are generated from api/proto/assay/worker/v1/worker.proto, where
// each one is described. What is written by hand here is the edge of the
// protocol: [Encode], and one decoder per direction ([FromWorker], [FromHost])
// that admits nothing the other side would not have sent. A decoder refuses
//
//   - a message over [MaxMessage] bytes or one that is not protobuf,
//   - a field this version does not know (a newer peer is told so by
//     [Protocol] in its Hello, not by guessing),
//   - a message that travels in the other direction,
//   - a text with control characters, which would end up in an operator's
//     terminal, and every length, count or enum outside its bound.
//
// Anyone who receives an error from a decoder closes the connection with it.
//
// The package depends on the protobuf runtime only, so that the worker's program
// stays small; it never imports the chain's.
package workerv1

//go:generate ./generate.sh
