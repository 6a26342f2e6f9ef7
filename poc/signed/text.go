// SPDX-License-Identifier: Apache-2.0

package signed

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
)

var (
	// ErrForm reports text that is not the hex of a hash, a key or a signature.
	ErrForm = errors.New("malformed")
	// ErrSignature reports a message that the key it names did not sign.
	ErrSignature = errors.New("not signed by this key")
)

// Hash is 32 bytes: a seed, an id, a nonce, a digest or a root. In JSON it is
// "0x" and 64 lower-case hex digits. It converts to seed.Seed and commit.Hash.
type Hash [32]byte

// Key is an Ed25519 public key, in JSON like a Hash.
type Key [32]byte

// Signature is an Ed25519 signature, in JSON "0x" and 128 hex digits.
type Signature [64]byte

// KeyOf returns the public half of a key.
func KeyOf(key ed25519.PrivateKey) Key { return Key(key.Public().(ed25519.PublicKey)) }

// Sign signs a message.
func Sign(key ed25519.PrivateKey, message []byte) Signature {
	return Signature(ed25519.Sign(key, message))
}

// Check is Verify with an error that names whose key it is and wraps ErrSignature.
func Check(whose string, key Key, message []byte, sig Signature) error {
	if !Verify(key[:], message, sig[:]) {
		return fmt.Errorf("%w: the %s key %v", ErrSignature, whose, key)
	}
	return nil
}

func (h Hash) String() string      { return "0x" + hex.EncodeToString(h[:]) }
func (k Key) String() string       { return "0x" + hex.EncodeToString(k[:]) }
func (s Signature) String() string { return "0x" + hex.EncodeToString(s[:]) }

// MarshalText writes what String returns.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// MarshalText writes what String returns.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalText writes what String returns.
func (s Signature) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what String returns. Errors wrap ErrForm.
func (h *Hash) UnmarshalText(text []byte) error { return fromHex(h[:], text) }

// UnmarshalText reads what String returns. Errors wrap ErrForm.
func (k *Key) UnmarshalText(text []byte) error { return fromHex(k[:], text) }

// UnmarshalText reads what String returns. Errors wrap ErrForm.
func (s *Signature) UnmarshalText(text []byte) error { return fromHex(s[:], text) }

// fromHex fills dst from "0x" and lower-case hex: one spelling a value.
func fromHex(dst, text []byte) error {
	if len(text) != 2+2*len(dst) || text[0] != '0' || text[1] != 'x' {
		return fmt.Errorf("%w: want 0x and %d hex digits", ErrForm, 2*len(dst))
	}
	for _, c := range text[2:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%w: want lower-case hex digits", ErrForm)
		}
	}
	_, err := hex.Decode(dst, text[2:])
	return err
}
