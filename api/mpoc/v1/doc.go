// SPDX-License-Identifier: Apache-2.0

// Package mpocv1 is Merkle proof of compute over HTTP and WebSocket: the bodies
// that a machine and the host it works for send each other. What they mean, and
// what is signed, is package mpoc's; here is their JSON.
//
//	POST /mpoc/v1/devices/nonce   NonceRequest      NonceAnswer
//	POST /mpoc/v1/devices         RegisterRequest   RegisterAnswer
//	POST /mpoc/v1/challenges      ChallengeRequest  Challenge
//	POST /mpoc/v1/commits         CommitRequest     CommitAnswer
//	POST /mpoc/v1/proofs          ProofRequest      ProofAnswer
//	POST /mpoc/v1/receipts        ReceiptRequest    ReceiptAnswer
//	POST /mpoc/v1/receipts/find   FindRequest       FindAnswer
//	POST /mpoc/v1/receipts/claims ClaimRequest      ClaimAnswer
//	POST /mpoc/v1/account         AccountRequest    Account
//	GET  /mpoc/v1/status                            Status
//	GET  /mpoc/v1/socket          WebSocket: the same bodies in a Frame
//	GET  /mpoc/v1/openapi.yaml    OpenAPI
//
// What is signed is spec M-1 to M-20. Every answer that is not 200 is an Error, and
// names the next step.
//
// An answer that was lost is asked for again: a commit or a proof by sending it
// again, in time; a receipt by its challenge, for as long as the host keeps it
// (30 days, and of a key the latest 128). A body over HTTP may come with
// Content-Encoding: gzip, which makes a proof a third as long.
//
// A host that was put back from a backup lacks what it credited since. Its machines
// have the receipts: a claim names those that are not paid, and brings those that the
// host lacks, ten at a time, the oldest first.
//
// Decode reads a body strictly: a key that is unknown, missing or repeated, null,
// a number that does not fit and anything behind the body are refused, and so is
// a body longer than its kind may be. Keys may come in any order. After it every
// value is within its bounds; nothing is verified yet.
package mpocv1
