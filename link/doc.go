// SPDX-License-Identifier: Apache-2.0

// Package link is the wire between a worker and its host: what both ends must
// do alike, and nothing that only one of them does.
//
// Each end has one Ed25519 key in a file ([LoadKey]). The key is the identity;
// certificates are a costume TLS insists on: self-signed and generated at start-up
// ([ServerTLS], [ClientTLS]). No authority is asked, no date in a
// certificate means anything, and only TLS 1.3 is spoken.
//
// A worker learns its host from one line, [Address]:
//
//	assay://host:port#fingerprint
//
// and accepts no other key at that address. A host admits every key as far as
// the handshake, so that it can tell a stranger why it is refused, and learns
// which key it was from [PeerKey].
//
// On top lies [Socket], a WebSocket with one binary message per envelope: reads
// are bounded in size, writes in time, and a silent peer is noticed by pings.
// Bytes in, bytes out; what they mean is the business of api/worker/v1.
//
// An attacker on the network can delay and cut. One who holds a worker's key
// can be that worker; one who holds the host's key can give its workers
// useless work, and gets nothing of theirs but that.
package link
