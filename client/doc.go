// SPDX-License-Identifier: Apache-2.0

// Package client reaches a node of the chain from outside: it dials, asks for
// lists and proofs, and signs transactions. It knows the messages of api and the
// SDK's codecs, and nothing of the chain's own code.
package client
