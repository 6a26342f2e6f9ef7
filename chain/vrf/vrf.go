// SPDX-License-Identifier: Apache-2.0

// Package vrf is the verifiable random function behind the beacon.
//
// A VRF key turns an input (alpha) into one output (beta, 64 bytes) that only
// its owner can compute, with a proof (80 bytes) that anyone can check against
// the public key. The point for a beacon is uniqueness: an owner has exactly
// one valid beta per alpha, so there is nothing to try out; the only choice
// left is to stay silent. An Ed25519 signature does not have that property.
//
// The suite is ECVRF-EDWARDS25519-SHA512-ELL2 of RFC 9381. A private key is an
// Ed25519 private key (RFC 8032 seed and public key, 64 bytes); nobody should
// use one key both here and for signatures, and x/registry refuses that.
//
// Uniqueness holds for public keys of the prime-order group only. ValidKey is
// the check that x/registry applies to every key it stores, VRF key or not: a
// key of small order would "verify" signatures that nobody made, and a second
// encoding of a key would get around the rule that keys are unique.
package vrf

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/curve"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519/extra/ecvrf"
)

// Sizes in bytes.
const (
	KeySize    = ed25519.PublicKeySize
	ProofSize  = ecvrf.ProofSize
	OutputSize = ecvrf.OutputSize
)

var (
	// ErrKey reports a public key that is no canonical point of the
	// prime-order group.
	ErrKey = errors.New("vrf: invalid public key")
	// ErrProof reports a proof that does not verify.
	ErrProof = errors.New("vrf: invalid proof")
)

// Prove computes the proof for alpha. It is deterministic.
func Prove(key ed25519.PrivateKey, alpha []byte) []byte {
	return ecvrf.Prove(voi.PrivateKey(key), alpha)
}

// Verify checks a proof and returns beta, its output. Errors wrap ErrKey or
// ErrProof.
func Verify(key, proof, alpha []byte) ([]byte, error) {
	if err := ValidKey(key); err != nil {
		return nil, err
	}
	if len(proof) != ProofSize {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrProof, len(proof), ProofSize)
	}
	ok, beta := ecvrf.Verify(voi.PublicKey(key), proof, alpha)
	if !ok {
		return nil, fmt.Errorf("%w: it does not belong to this key and input", ErrProof)
	}
	return beta, nil
}

// ValidKey accepts exactly the canonical encodings of points that have the
// prime order of Ed25519's group: not the identity, no torsion component.
// Every key made by RFC 8032 passes. Errors wrap ErrKey.
func ValidKey(key []byte) error {
	var (
		encoded curve.CompressedEdwardsY
		point   curve.EdwardsPoint
	)
	if len(key) != KeySize {
		return fmt.Errorf("%w: %d bytes, want %d", ErrKey, len(key), KeySize)
	}
	if _, err := encoded.SetBytes(key); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	if !encoded.IsCanonicalVartime() {
		return fmt.Errorf("%w: not the canonical encoding of a point", ErrKey)
	}
	if _, err := point.SetCompressedY(&encoded); err != nil {
		return fmt.Errorf("%w: not a point of the curve", ErrKey)
	}
	if point.IsSmallOrder() {
		return fmt.Errorf("%w: a point of small order", ErrKey)
	}
	if !point.IsTorsionFree() {
		return fmt.Errorf("%w: outside the prime-order group", ErrKey)
	}
	return nil
}
