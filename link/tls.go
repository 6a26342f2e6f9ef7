// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

var (
	// ErrFingerprint says that somebody else answers at the host's address.
	ErrFingerprint = errors.New("link: the host's key is not the one its address names")
	// ErrPeerKey says that a peer's certificate does not carry exactly one Ed25519 key.
	ErrPeerKey = errors.New("link: peer shows no Ed25519 key")
)

// ServerTLS is the host's side: it shows key and demands some Ed25519 key of
// every client. Which keys are welcome is decided after the handshake.
func ServerTLS(key ed25519.PrivateKey) (*tls.Config, error) {
	c, err := config(key)
	if err != nil {
		return nil, err
	}
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(s tls.ConnectionState) error {
		_, err := PeerKey(s)
		return err
	}
	return c, nil
}

// ClientTLS is the worker's side: it shows key and talks to nobody but the
// holder of the key that want names.
func ClientTLS(key ed25519.PrivateKey, want Fingerprint) (*tls.Config, error) {
	c, err := config(key)
	if err != nil {
		return nil, err
	}
	// Names and authorities play no part; the pin below is the whole check.
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		peer, err := PeerKey(s)
		if err != nil {
			return err
		}
		if got := FingerprintOf(peer); got != want {
			return fmt.Errorf("%w: found %s, want %s", ErrFingerprint, got, want)
		}
		return nil
	}
	return c, nil
}

// PeerKey returns the key the other side proved to hold.
func PeerKey(s tls.ConnectionState) (ed25519.PublicKey, error) {
	if len(s.PeerCertificates) != 1 {
		return nil, fmt.Errorf("%w: %d certificates", ErrPeerKey, len(s.PeerCertificates))
	}
	key, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrPeerKey, s.PeerCertificates[0].PublicKeyAlgorithm)
	}
	return key, nil
}

func config(key ed25519.PrivateKey) (*tls.Config, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: Scheme},
		// Nobody reads the dates: a wrong clock must not cost a connection.
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("link: make certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:             []string{"http/1.1"}, // WebSocket needs it
		SessionTicketsDisabled: true,                 // every connection proves its key
	}, nil
}
