// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"strings"
	"testing"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
)

type requestIn struct {
	Device       seed.Seed          `json:"device_ed25519_seed"`
	Registration *mpoc.Registration `json:"registration,omitempty"`
	Asking       *mpoc.Asking       `json:"asking,omitempty"`
}

type requestOut struct {
	Message   raw               `json:"message,omitempty"`
	Signature *signed.Signature `json:"signature,omitempty"`
	Error     string            `json:"error,omitempty"`
}

// What a device signs to be known to a host and to ask it for something: spec M-1, M-2.
func TestRequests(t *testing.T) {
	host, device := signed.KeyOf(privateKey(mpocHost)), signed.KeyOf(privateKey(mpocDevice))
	registered := func(change func(*mpoc.Registration)) requestIn {
		r := mpoc.Registration{Chain: "assay-test", HostKey: host, DeviceKey: device,
			Nonce: signed.Hash(counted(0x33)), Agent: "assay-worker/1",
			Engine: "cuda", RateOps: 1 << 50, Payout: "cpc1qyqszqgpqyqszqgpqyqszqgpqyqszqgp8apuk5",
			Devices: []mpoc.Claimed{{ID: "gpu-0", Name: "a GPU", Engine: "cuda", RateOps: 1 << 49},
				{ID: "cpu", Engine: "cpu"}}}
		change(&r)
		return requestIn{Device: mpocDevice, Registration: &r}
	}
	asked := func(what string, id *signed.Hash) requestIn {
		return requestIn{Device: mpocDevice, Asking: &mpoc.Asking{HostKey: host, DeviceKey: device,
			What: what, Time: 1_800_000_000_000, Count: 3, ChallengeID: id}}
	}
	id := signed.Hash(counted(0x44))
	check(t, "mpoc_requests.json", "what a device signs to register with a host, and to ask it "+
		"for a challenge, its account or a receipt", []given[requestIn]{
		{"two devices", registered(func(*mpoc.Registration) {})},
		{"without a payout", registered(func(r *mpoc.Registration) {
			r.Payout, r.Devices = "", r.Devices[:1]
		})},
		{"no device", registered(func(r *mpoc.Registration) { r.Devices = []mpoc.Claimed{} })},
		{"65 devices", registered(func(r *mpoc.Registration) {
			r.Devices = nil
			for range mpoc.MaxDevices + 1 {
				r.Devices = append(r.Devices, mpoc.Claimed{ID: "cpu", Engine: "cpu"})
			}
		})},
		{"a rate of 0", registered(func(r *mpoc.Registration) { r.RateOps = 0 })},
		{"a rate of 2^53", registered(func(r *mpoc.Registration) { r.RateOps = 1 << 53 })},
		{"an agent of 81 characters", registered(func(r *mpoc.Registration) {
			r.Agent = strings.Repeat("a", 81)
		})},
		{"no engine", registered(func(r *mpoc.Registration) { r.Engine = "" })},
		{"an id of 33 characters", registered(func(r *mpoc.Registration) {
			r.Devices[0].ID = strings.Repeat("a", 33)
		})},
		{"a name beyond ASCII", registered(func(r *mpoc.Registration) { r.Devices[0].Name = "é" })},
		{"a challenge", asked(mpoc.AskChallenge, nil)},
		{"an account", asked(mpoc.AskAccount, nil)},
		{"a receipt", asked(mpoc.AskReceipt, &id)},
	}, func(t testing.TB, in requestIn) requestOut {
		key, message := privateKey(in.Device), []byte(nil)
		if in.Asking != nil {
			message = in.Asking.SignBytes()
		} else {
			if err := in.Registration.Valid(); err != nil {
				return requestOut{Error: fault(t, err)}
			}
			message = in.Registration.SignBytes()
		}
		out := requestOut{Message: message, Signature: new(signed.Signature)}
		if in.Asking != nil {
			*out.Signature = in.Asking.Sign(key)
		} else {
			*out.Signature = in.Registration.Sign(key)
		}
		return out
	})
}
