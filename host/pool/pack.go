// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	bolt "go.etcd.io/bbolt"

	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/poc/signed"
)

// A judged challenge is its receipt, which repeats the terms, the commit and the
// draw: it is kept without them, and packed, which takes a fifth.

// packedTag begins a packed record; JSON begins with a brace.
const packedTag = 1

// maxRecord bounds a record that is unpacked.
const maxRecord = 16 << 20

func pack(r *record) ([]byte, error) {
	if r.Phase != judged || r.Receipt == nil {
		return json.Marshal(r)
	}
	rest := *r
	rest.Wrong, rest.Samples, rest.Verdict, rest.Why = nil, nil, nil, ""
	type absent = *struct{}
	raw, err := json.Marshal(struct {
		*record
		Terms     absent `json:"terms,omitempty"`
		Signature absent `json:"signature,omitempty"`
		Commit    absent `json:"commit,omitempty"`
		CommitSig absent `json:"commit_signature,omitempty"`
		Draw      absent `json:"draw,omitempty"`
		DrawSig   absent `json:"draw_signature,omitempty"`
	}{record: &rest})
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer([]byte{packedTag})
	z, err := flate.NewWriter(out, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	_, err = z.Write(raw)
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func unpack(raw []byte, r *record) error {
	if len(raw) == 0 || raw[0] != packedTag {
		return json.Unmarshal(raw, r)
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw[1:])), maxRecord))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, r); err != nil {
		return err
	}
	if r.Receipt == nil {
		return errors.New("a judged challenge without a receipt")
	}
	r.Terms, r.Signature, r.Commit, r.CommitSig = r.Receipt.Terms, r.Receipt.TermsSignature,
		r.Receipt.Commit, r.Receipt.CommitSignature
	if r.Receipt.Draw != nil {
		r.Draw = *r.Receipt.Draw
	}
	outcome := r.Receipt.Outcome
	r.Verdict, r.Why = &outcome, r.Receipt.Reason
	return nil
}

// migrate brings a file of version 1 to this one: the same records, of which judged
// ones are packed now.
func migrate(old *bolt.Tx, to *store.Tx) error {
	for _, bucket := range buckets {
		b := old.Bucket([]byte(bucket))
		if b == nil && bucket == bucketFading { // which [Pool.stand] fills
			continue
		} else if b == nil {
			return fmt.Errorf("pool: it has no %s", bucket)
		}
		err := b.ForEach(func(k, raw []byte) error {
			var err error
			switch bucket {
			case bucketChallenges:
				var r record
				if err = json.Unmarshal(raw, &r); err == nil {
					raw, err = pack(&r)
				}
			case bucketDevices:
				var d device
				err = json.Unmarshal(raw, &d)
			}
			if err != nil {
				return fmt.Errorf("pool: %s %x: %w", bucket, k, err)
			}
			return to.PutRaw(bucket, k, raw)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mend deals with damaged records. An index is made again; a challenge or a device is
// lost, and named: the machine registers again, and its receipts are its own.
func mend(tx *store.Tx, hurt []store.Damage) (named []error, err error) {
	if len(hurt) == 0 {
		return nil, nil
	}
	for _, d := range hurt {
		if d.Bucket == bucketDevices || d.Bucket == bucketChallenges ||
			d.Bucket == bucketMeta || d.State() {
			named = append(named, fmt.Errorf("%w: %s", errDamaged, d))
		}
	}
	return named, reindex(tx)
}

// reindex makes the indexes again, of the challenges and devices that can be read.
func reindex(tx *store.Tx) error {
	for _, bucket := range []string{bucketOpen, bucketReceipts, bucketEnds,
		bucketUnproven, bucketFading} {
		if err := tx.Clear(bucket); err != nil {
			return err
		}
	}
	var list []record
	err := tx.Each(bucketChallenges, nil, func(raw store.Record) (bool, error) {
		var r record
		if text, err := raw.Raw(); err == nil && unpack(text, &r) == nil {
			list = append(list, r)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for i := range list {
		if err := index(tx, &list[i]); err != nil {
			return err
		}
	}
	return reindexDevices(tx)
}

// index makes the keys of a challenge in the indexes.
func index(tx *store.Tx, r *record) error {
	id := r.Terms.ChallengeID
	if r.Phase != judged {
		return tx.PutRaw(bucketOpen, id[:], store.Number(ends(r)))
	}
	return errors.Join(
		tx.PutRaw(bucketReceipts, receiptKey(r.Terms.DeviceKey, r.Number), id[:]),
		tx.PutRaw(bucketEnds, endKey(r), nil),
	)
}

func reindexDevices(tx *store.Tx) error {
	var unproven, proven [][]byte
	err := tx.Each(bucketDevices, nil, func(r store.Record) (bool, error) {
		var d device
		switch {
		case r.Decode(&d) != nil || len(r.Key) != len(signed.Key{}):
		case d.Accepted == 0:
			unproven = append(unproven, append(store.Number(d.Since), r.Key...))
		case d.Fades > 0:
			proven = append(proven, append(store.Number(d.Placed), r.Key...))
		}
		return true, nil
	})
	for _, k := range unproven {
		err = errors.Join(err, tx.PutRaw(bucketUnproven, k, nil))
	}
	for _, k := range proven {
		err = errors.Join(err, tx.PutRaw(bucketFading, k, nil))
	}
	return err
}

// Look reads a pool's file that nothing has open, and changes nothing. Errors are
// those of [store.Look].
func Look(path string) (store.Found, error) { return store.Look(path, options) }

// Salvage makes a new file of what can be read of one that does not open.
func Salvage(path string) (records int, old string, err error) {
	return store.Salvage(path, options, func(bucket string, _, _ []byte) bool {
		return bucket == bucketMeta || bucket == bucketDevices || bucket == bucketChallenges
	}, reindex)
}
