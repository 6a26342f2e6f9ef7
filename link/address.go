// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
)

// Scheme begins every host address.
const Scheme = "assay"

// ErrAddress is wrapped by every error of [ParseAddress].
var ErrAddress = errors.New("link: not a host address (assay://host:port#fingerprint)")

// Fingerprint names a host's key: the first 16 bytes of its SHA-256. Finding a
// second key with a given fingerprint costs 2^128 tries.
type Fingerprint [16]byte

// FingerprintOf returns the fingerprint of a public key.
func FingerprintOf(key ed25519.PublicKey) Fingerprint {
	sum := sha256.Sum256(key)
	return Fingerprint(sum[:16])
}

func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// Address is where a host listens and which key it must show there.
type Address struct {
	HostPort    string // host:port
	Fingerprint Fingerprint
}

func (a Address) String() string {
	return Scheme + "://" + a.HostPort + "#" + a.Fingerprint.String()
}

// ParseAddress reads assay://host:port#fingerprint.
func ParseAddress(s string) (Address, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Address{}, fmt.Errorf("%w: %q", ErrAddress, s)
	}
	if u.Scheme != Scheme || u.User != nil || u.Path != "" || u.RawQuery != "" {
		return Address{}, fmt.Errorf("%w: %q", ErrAddress, s)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil || host == "" {
		return Address{}, fmt.Errorf("%w: %q needs a host and a port", ErrAddress, s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Address{}, fmt.Errorf("%w: %q has no usable port", ErrAddress, s)
	}
	raw, err := hex.DecodeString(u.Fragment)
	if err != nil || len(raw) != len(Fingerprint{}) {
		return Address{}, fmt.Errorf("%w: %q needs the fingerprint after #, 32 hex digits; the "+
			"host prints the whole line", ErrAddress, s)
	}
	return Address{HostPort: net.JoinHostPort(host, port), Fingerprint: Fingerprint(raw)}, nil
}
