// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/link"
)

// Offered asks the host whether it gives out challenges: one that does not has
// no such page.
func (m *Machine) Offered(ctx context.Context) (bool, error) {
	s, err := m.client.terms(ctx)
	return s != nil, err
}

// Ask asks a host whether it has a pool, and for its terms in a sentence.
func Ask(ctx context.Context, address string, key ed25519.PrivateKey) (pool bool,
	terms string, err error) {
	to, err := link.ParseAddress(address)
	if err != nil {
		return false, "", err
	}
	c, err := newClient(Config{Key: key}, to)
	if err != nil {
		return false, "", err
	}
	defer c.http.CloseIdleConnections()
	s, err := c.terms(ctx)
	if err != nil || s == nil {
		return false, "", err
	}
	terms = fmt.Sprintf("the host has one and takes any machine: %s for 2^40 verified "+
		"operations, pay unlocked after %d more clean submissions, %d machines so far",
		Coins(s.Pay.Big()), s.Policy.UnlockAfter, s.Devices)
	if c.unpaid.Load() {
		terms += "; " + Unpaid
	}
	if still := PayWaits(c.standsStill()); still != "" {
		terms += "; " + still
	}
	return true, terms, nil
}

// terms are the host's; nil where it has no pool.
func (c *client) terms(ctx context.Context) (*mpocv1.Status, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+mpocv1.PathStatus, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		c.heads(answer.Header)
		s, err := mpocv1.Read[mpocv1.Status](answer.Body)
		return &s, err
	case http.StatusNotFound:
		return nil, nil
	}
	return nil, fmt.Errorf("the host answered %s", answer.Status)
}
