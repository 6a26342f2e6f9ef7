// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/assaynet/assay/poc/signed"
	"github.com/assaynet/assay/poc/work/matmul"
)

// ErrForm reports text that is not what it should be: hex, a shape, an amount,
// a time.
var ErrForm = errors.New("mpoc: malformed")

// Hash is 32 bytes: a seed, an id, a nonce, a digest or a root. In JSON it is
// "0x" and 64 lower-case hex digits. It converts to seed.Seed and commit.Hash.
type Hash [32]byte

// Key is an Ed25519 public key, in JSON like a Hash.
type Key [32]byte

// Signature is an Ed25519 signature, in JSON "0x" and 128 hex digits.
type Signature [64]byte

// KeyOf returns the public half of a key.
func KeyOf(key ed25519.PrivateKey) Key { return Key(key.Public().(ed25519.PublicKey)) }

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
func (h *Hash) UnmarshalText(text []byte) error { return unhex(h[:], text) }

// UnmarshalText reads what String returns. Errors wrap ErrForm.
func (k *Key) UnmarshalText(text []byte) error { return unhex(k[:], text) }

// UnmarshalText reads what String returns. Errors wrap ErrForm.
func (s *Signature) UnmarshalText(text []byte) error { return unhex(s[:], text) }

// unhex fills dst from "0x" and lower-case hex: one spelling a value.
func unhex(dst, text []byte) error {
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

// Amount is a number of acpc as a decimal string without leading zeros, below
// 2^128. The empty string is no amount.
type Amount string

const maxAmountBits = 128

// AmountOf writes a number as an Amount. It is for 0 <= v < 2^128.
func AmountOf(v *big.Int) Amount { return Amount(v.String()) }

// Valid checks the spelling. Errors wrap ErrForm.
func (a Amount) Valid() error {
	if len(a) == 0 || len(a) > 39 || strings.Trim(string(a), "0123456789") != "" || a[0] == '0' && len(a) > 1 {
		return fmt.Errorf("%w: an amount is a decimal number without leading zeros", ErrForm)
	}
	if a.Big().BitLen() > maxAmountBits {
		return fmt.Errorf("%w: an amount is below 2^%d", ErrForm, maxAmountBits)
	}
	return nil
}

// Big returns the number; 0 for what is no amount.
func (a Amount) Big() *big.Int {
	v, ok := new(big.Int).SetString(string(a), 10)
	if !ok {
		return new(big.Int)
	}
	return v
}

// Seconds is a time span in milliseconds that JSON shows as a number of seconds
// with at most three decimals: 14.21. It is below 10^6 seconds.
type Seconds uint64

// MarshalJSON writes the shortest decimal.
func (s Seconds) MarshalJSON() ([]byte, error) {
	text := fmt.Sprintf("%d.%03d", s/1000, s%1000)
	return []byte(strings.TrimRight(strings.TrimRight(text, "0"), ".")), nil
}

// UnmarshalJSON reads digits, and a point and one to three digits behind them if
// there are any. No signs, no exponents. Errors wrap ErrForm.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	whole, part, point := strings.Cut(string(text), ".")
	bad := len(whole) == 0 || len(whole) > 6 || whole[0] == '0' && len(whole) > 1 || point && (len(part) == 0 || len(part) > 3)
	if bad || strings.Trim(whole+part, "0123456789") != "" {
		return fmt.Errorf("%w: want seconds with at most three decimals", ErrForm)
	}
	v := uint64(0)
	for _, c := range whole + (part + "000")[:3] {
		v = v*10 + uint64(c-'0')
	}
	*s = Seconds(v)
	return nil
}

// Shape is a unit's shape, in JSON "MxKxQ".
type Shape matmul.Shape

func (s Shape) String() string { return matmul.Shape(s).String() }

// Matmul returns the shape as package matmul has it.
func (s Shape) Matmul() matmul.Shape { return matmul.Shape(s) }

// MarshalText writes what String returns.
func (s Shape) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the shapes of Shapes. Errors wrap ErrForm.
func (s *Shape) UnmarshalText(text []byte) error {
	for _, published := range Shapes() {
		if published.String() == string(text) {
			*s = Shape(published)
			return nil
		}
	}
	return fmt.Errorf("%w: %.40q is not a published shape", ErrForm, text)
}

// ErrSignature reports a statement that the key it names did not sign.
var ErrSignature = errors.New("mpoc: not signed by this key")

func sign(key ed25519.PrivateKey, bytes []byte) Signature {
	return Signature(ed25519.Sign(key, bytes))
}

func verify(who string, key Key, bytes []byte, sig Signature) error {
	if !signed.Verify(key[:], bytes, sig[:]) {
		return fmt.Errorf("%w: the %s key %v", ErrSignature, who, key)
	}
	return nil
}
