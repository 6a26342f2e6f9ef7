// SPDX-License-Identifier: Apache-2.0

// Package leaflogtest fills logs for tests, as machines do.
package leaflogtest

import (
	"crypto/ed25519"
	"testing"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Deliver stores outputs behind a log's end as one batch of a machine's.
func Deliver(t testing.TB, log *leaflog.Log, o delivery.Order, machine ed25519.PrivateKey,
	out []transformer.Output) {
	t.Helper()
	if err := Try(log, o, machine, out); err != nil {
		t.Fatal(err)
	}
}

func Try(log *leaflog.Log, o delivery.Order, machine ed25519.PrivateKey,
	out []transformer.Output) error {
	var packed []byte
	for _, o := range out {
		packed = o.Record.Append(packed)
	}
	first := log.Size()
	sig := delivery.Statement{Order: o, Batch: delivery.BatchOf(first, packed)}.Sign(machine)
	return log.Append(first, packed, leaflog.Signature(sig))
}
