// SPDX-License-Identifier: Apache-2.0

package mpoc

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/assaynet/assay/poc/signed"
)

// ErrRegistration reports a registration that is out of bounds.
var ErrRegistration = errors.New("mpoc: registration not acceptable")

// MaxDevices is how many devices one key may register.
const MaxDevices = 64

// Claimed is one device as its owner describes it. Nothing is paid for a claim:
// the rate sizes the first challenges and is compared with what is measured.
type Claimed struct {
	ID      string `json:"id"` // "gpu-0"
	Name    string `json:"name"`
	Engine  string `json:"engine"`
	RateOps uint64 `json:"rate_ops"` // nominal operations a second
}

// Registration is how a device's key comes to a host: signed over the host's
// fresh nonce and the host's key, so that it cannot be shown to another host.
type Registration struct {
	Chain     string      `json:"chain"`
	HostKey   signed.Key  `json:"host_key"`
	DeviceKey signed.Key  `json:"device_key"`
	Nonce     signed.Hash `json:"nonce"`
	Agent     string      `json:"agent"`
	Engine    string      `json:"engine"`
	Devices   []Claimed   `json:"devices"`
	RateOps   uint64      `json:"rate_ops"` // of all devices together
	// account on the chain, or empty: nothing is paid out yet
	Payout string `json:"payout"`
}

// Valid checks the bounds. Errors wrap ErrRegistration.
func (r Registration) Valid() error {
	ok := printable(r.Chain, 1, maxChain) && printable(r.Agent, 1, 80) &&
		printable(r.Engine, 1, 80) && printable(r.Payout, 0, 90)
	ok = ok && len(r.Devices) > 0 && len(r.Devices) <= MaxDevices && r.RateOps > 0 &&
		r.RateOps <= maxTime
	for _, d := range r.Devices {
		ok = ok && printable(d.ID, 1, 32) && printable(d.Name, 0, 80) &&
			printable(d.Engine, 1, 80) && d.RateOps <= maxTime
	}
	if !ok {
		return fmt.Errorf("%w: 1 to %d devices, a rate above 0, and short printable names",
			ErrRegistration, MaxDevices)
	}
	return nil
}

// SignBytes returns the message that the device signs.
func (r Registration) SignBytes() []byte {
	m := signed.Say("assay/1/mpoc-registration").Text(r.Chain).Part(r.HostKey[:]).Part(
		r.DeviceKey[:]).Hash(r.Nonce).
		Text(r.Agent).Text(r.Engine).Number(r.RateOps).Text(r.Payout).Number(uint64(len(r.Devices)))
	for _, d := range r.Devices {
		m.Text(d.ID).Text(d.Name).Text(d.Engine).Number(d.RateOps)
	}
	return *m
}

// Sign signs with the device's key.
func (r Registration) Sign(key ed25519.PrivateKey) signed.Signature {
	return signed.Sign(key, r.SignBytes())
}

// Verify checks bounds and signature. Errors wrap ErrRegistration or
// signed.ErrSignature.
func (r Registration) Verify(sig signed.Signature) error {
	if err := r.Valid(); err != nil {
		return err
	}
	return signed.Check("device", r.DeviceKey, r.SignBytes(), sig)
}

// Asking is what a device signs to ask its host for something that is only for
// it: a challenge, its account, a receipt. A host takes a (time, count) only once
// and only near its own clock, and in rising order.
type Asking struct {
	HostKey   signed.Key `json:"host_key"`
	DeviceKey signed.Key `json:"device_key"`
	What      string     `json:"what"` // AskChallenge, AskAccount or AskReceipt
	Time      uint64     `json:"time"` // unix milliseconds
	Count     uint64     `json:"count"`
	// ChallengeID is the challenge whose receipt is asked for, and nil where
	// something else is.
	ChallengeID *signed.Hash `json:"challenge_id,omitempty"`
}

// What can be asked.
const (
	AskChallenge = "challenge"
	AskAccount   = "account"
	AskReceipt   = "receipt"
)

// SignBytes returns the message that the device signs.
func (a Asking) SignBytes() []byte {
	m := signed.Say("assay/1/mpoc-asking").Part(a.HostKey[:]).Part(a.DeviceKey[:]).Text(
		a.What).Number(a.Time).Number(a.Count)
	if a.ChallengeID != nil {
		m.Hash(*a.ChallengeID)
	}
	return *m
}

// Sign signs with the device's key.
func (a Asking) Sign(key ed25519.PrivateKey) signed.Signature {
	return signed.Sign(key, a.SignBytes())
}

// Verify checks the signature. Errors wrap signed.ErrSignature.
func (a Asking) Verify(sig signed.Signature) error {
	return signed.Check("device", a.DeviceKey, a.SignBytes(), sig)
}
