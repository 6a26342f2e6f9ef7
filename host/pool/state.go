// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/assaynet/assay/host/batch"
	"github.com/assaynet/assay/poc/mpoc"
)

// phase is how far a challenge has come.
type phase string

const (
	offered   phase = "offered"
	committed phase = "committed"
	judged    phase = "judged"
)

// record is one challenge. Nonce is the host's secret until it is committed.
type record struct {
	Phase     phase          `json:"phase"`
	Terms     mpoc.Terms     `json:"terms"`
	Signature mpoc.Signature `json:"signature"`
	Nonce     mpoc.Hash      `json:"nonce"`

	Commit    mpoc.Commit    `json:"commit"`
	CommitSig mpoc.Signature `json:"commit_signature"`
	Committed uint64         `json:"committed"` // when it arrived, unix ms
	Draw      mpoc.Draw      `json:"draw"`
	DrawSig   mpoc.Signature `json:"draw_signature"`

	// Offered, Until and Ended are lived time (clock.go): when it was made, when what
	// it waits for is over, and when it was judged. Elapsed is the milliseconds that
	// its device had for the commit.
	Offered uint64 `json:"offered,omitempty"`
	Until   uint64 `json:"until,omitempty"`
	Ended   uint64 `json:"ended,omitempty"`
	Elapsed uint64 `json:"elapsed,omitempty"`

	Round   uint32             `json:"round"`          // of the questions that are open
	Held    bool               `json:"held,omitempty"` // an answer came that holds, and could not be looked at
	Wrong   []mpoc.TileOpening `json:"wrong,omitempty"`
	Samples []mpoc.Sample      `json:"wrong_samples,omitempty"`
	// Verdict is written before the ledger is told, so that a crash between the
	// two changes nothing.
	Verdict *mpoc.Outcome       `json:"verdict,omitempty"`
	Why     string              `json:"why,omitempty"`
	Receipt *mpoc.Receipt       `json:"receipt,omitempty"`
	Number  uint64              `json:"number,omitempty"` // of the receipt among its key's, from 1
	Faces   []mpoc.SignedCommit `json:"faces,omitempty"`  // a second commit, evidence
}

func (r *record) log() mpoc.Log { return mpoc.Log{Terms: r.Terms, Commit: r.Commit} }

// device is what the host knows of a key.
type device struct {
	Registration mpoc.Registration `json:"registration"`
	Since        uint64            `json:"since"`          // lived time
	Seen         uint64            `json:"seen"`           // unix ms
	Live         *mpoc.Hash        `json:"live,omitempty"` // its challenge
	// Rate is what the host measured, in operations a second: the fastest of its
	// recent audited submissions, which falls a little with each slower one.
	Rate     uint64 `json:"rate,omitempty"`
	Accepted uint64 `json:"accepted"`
	Faulty   uint64 `json:"faulty"`
	Rejected uint64 `json:"rejected"`
	Failed   uint64 `json:"failed"`
	Late     uint64 `json:"late"`
	Expired  uint64 `json:"expired"` // challenges never committed to
	Judged   uint64 `json:"judged"`  // receipts given, whatever they say
	// Wary counts down the submissions that are looked at harder after a finding.
	Wary   int    `json:"wary,omitempty"`
	Reason string `json:"reason,omitempty"` // of the last finding
}

var (
	bucketMeta       = []byte("meta")
	bucketDevices    = []byte("devices")    // key -> device
	bucketChallenges = []byte("challenges") // id -> record
	bucketOpen       = []byte("open")       // id of every challenge that is not judged -> lived ms when it is over
	bucketReceipts   = []byte("judged")     // key, number of the receipt -> challenge id
	bucketEnds       = []byte("ends")       // lived ms, id: judged ones by age
	bucketUnproven   = []byte("unproven")   // lived ms of registration, key: devices without accepted work
	keySecret        = []byte("secret")
	keyLived         = []byte("lived") // ms
)

const (
	// A judged challenge and its receipt stay for keepJudged, and of a key the
	// latest keepReceipts: as many as its machine keeps. A key without accepted work
	// has keepUnprovenReceipts, for as long as it is known itself.
	keepJudged           = 30 * 24 * time.Hour
	keepReceipts         = 1000
	keepUnprovenReceipts = 16
	// Registrations are free. Those without accepted work stay for keepUnproven,
	// and the oldest go first when there are more than maxUnproven.
	keepUnproven = 24 * time.Hour
	maxUnproven  = 1 << 14
)

// state is the pool's file. Methods that change write one flushed transaction.
type state struct {
	db      *bolt.DB
	changes *batch.Writer // of db: those that machines cause
}

func openState(path string, fresh func([]byte)) (*state, []byte, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 2 * time.Second})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, nil, fmt.Errorf("pool: %s is in use; is another host running on this folder?", path)
	} else if err != nil {
		return nil, nil, fmt.Errorf("pool: open %s: %w", path, err)
	}
	var secret []byte
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketDevices, bucketChallenges, bucketOpen, bucketReceipts, bucketEnds, bucketUnproven} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		if have := meta.Get(keySecret); len(have) == 32 {
			secret = append(secret, have...)
			return nil
		}
		secret = make([]byte, 32)
		fresh(secret)
		return meta.Put(keySecret, secret)
	})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("pool: prepare %s: %w", path, err), db.Close())
	}
	return &state{db, batch.New(db)}, secret, nil
}

// read fills v and tells whether it was there.
func read(tx *bolt.Tx, bucket, key []byte, v any) (bool, error) {
	raw := tx.Bucket(bucket).Get(key)
	if raw == nil {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("pool: the state's %s %x: %w: %w", bucket, key, errDamaged, err)
	}
	return true, nil
}

func write(tx *bolt.Tx, bucket, key []byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put(key, raw)
}

// device returns what is known of a key.
func (s *state) device(key mpoc.Key) (d device, known bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) (err error) {
		known, err = read(tx, bucketDevices, key[:], &d)
		return err
	})
	return d, known, err
}

// challenge returns a record.
func (s *state) challenge(id mpoc.Hash) (r record, known bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) (err error) {
		known, err = read(tx, bucketChallenges, id[:], &r)
		return err
	})
	return r, known, err
}

// keep writes a device, and its place among those without accepted work.
func keep(tx *bolt.Tx, key mpoc.Key, d *device) error {
	at := append(number(d.Since), key[:]...)
	if d.Accepted > 0 {
		return errors.Join(write(tx, bucketDevices, key[:], d), tx.Bucket(bucketUnproven).Delete(at))
	}
	return errors.Join(write(tx, bucketDevices, key[:], d), tx.Bucket(bucketUnproven).Put(at, nil))
}

// save writes a device and, if there is one, its challenge.
func (s *state) save(key mpoc.Key, d *device, r *record) error {
	return s.changes.Do(func(tx *bolt.Tx) error {
		if err := keep(tx, key, d); err != nil || r == nil {
			return err
		}
		id := r.Terms.ChallengeID
		if err := write(tx, bucketChallenges, id[:], r); err != nil {
			return err
		}
		if r.Phase != judged {
			return tx.Bucket(bucketOpen).Put(id[:], number(ends(r)))
		}
		most := uint64(keepReceipts)
		if d.Accepted == 0 {
			most = keepUnprovenReceipts
		}
		err := errors.Join(
			tx.Bucket(bucketOpen).Delete(id[:]),
			tx.Bucket(bucketReceipts).Put(receiptKey(key, r.Number), id[:]),
			tx.Bucket(bucketEnds).Put(endKey(r), nil),
		)
		if old := tx.Bucket(bucketReceipts).Get(receiptKey(key, r.Number-min(r.Number, most))); old != nil {
			err = errors.Join(err, remove(tx, bytes.Clone(old)))
		}
		return err
	})
}

// remove forgets a judged challenge.
func remove(tx *bolt.Tx, id []byte) error {
	var r record
	known, err := read(tx, bucketChallenges, id, &r)
	if errors.Is(err, errDamaged) { // it is too old to matter, and what it says too
		return tx.Bucket(bucketChallenges).Delete(id)
	}
	if err != nil || !known || r.Phase != judged {
		return err
	}
	return errors.Join(
		tx.Bucket(bucketChallenges).Delete(id),
		tx.Bucket(bucketReceipts).Delete(receiptKey(r.Terms.DeviceKey, r.Number)),
		tx.Bucket(bucketEnds).Delete(endKey(&r)),
	)
}

// endKey is a judged challenge's place in bucketEnds.
func endKey(r *record) []byte {
	at := r.Ended
	if at == 0 { // from before there was lived time, which began as the wall clock
		at = max(r.Receipt.Proved, r.Receipt.Committed)
	}
	return append(number(at), r.Terms.ChallengeID[:]...)
}

// errCrowded says that no other device could be forgotten for a new one.
var errCrowded = errors.New("pool: too many machines that have shown no work")

// register writes a device that is new, and forgets about excess others. Errors
// wrap errCrowded.
func (s *state) register(key mpoc.Key, d *device, excess int) (forgot int, err error) {
	err = s.changes.Do(func(tx *bolt.Tx) (err error) {
		if forgot, err = forget(tx, max(excess, 0), 0, max(excess, 0)+64); err != nil {
			return err
		}
		if forgot < excess {
			return errCrowded
		}
		return keep(tx, key, d)
	})
	return forgot, err
}

// forget drops devices without accepted work, the oldest first: as many as are
// excess, and those from before a time; not those that have committed to some,
// whose submission is theirs to have judged. It looks at so many at most.
func forget(tx *bolt.Tx, excess int, before uint64, looks int) (n int, err error) {
	var past [][]byte // of the index
	c := tx.Bucket(bucketUnproven).Cursor()
	for k, _ := c.First(); len(k) == 40 && looks > 0; k, _ = c.Next() {
		looks--
		if n >= excess && binary.BigEndian.Uint64(k) >= before {
			break
		}
		var d device
		if _, err := read(tx, bucketDevices, k[8:], &d); errors.Is(err, errDamaged) {
			d = device{} // it goes as the others do
		} else if err != nil {
			return n, err
		}
		dropped, err := discard(tx, k[8:], &d)
		if err != nil {
			return n, err
		}
		if dropped {
			n++
			past = append(past, bytes.Clone(k))
		}
	}
	for _, k := range past {
		if err := tx.Bucket(bucketUnproven).Delete(k); err != nil {
			return n, err
		}
	}
	return n, nil
}

// discard drops a device with its offered challenge and its receipts, and tells
// whether it could: not one that has committed.
func discard(tx *bolt.Tx, key []byte, d *device) (bool, error) {
	var r record
	if d.Live != nil {
		known, err := read(tx, bucketChallenges, d.Live[:], &r)
		if errors.Is(err, errDamaged) {
			err, r = tx.Bucket(bucketChallenges).Delete(d.Live[:]), record{}
		}
		if err != nil || known && r.Phase == committed {
			return false, err
		}
	}
	err := tx.Bucket(bucketDevices).Delete(key)
	if r.Phase == offered {
		err = errors.Join(err, tx.Bucket(bucketChallenges).Delete(d.Live[:]), tx.Bucket(bucketOpen).Delete(d.Live[:]))
	}
	var ids [][]byte
	c := tx.Bucket(bucketReceipts).Cursor()
	for k, id := c.Seek(key); bytes.HasPrefix(k, key); k, id = c.Next() {
		ids = append(ids, bytes.Clone(id))
	}
	for _, id := range ids {
		err = errors.Join(err, remove(tx, id))
	}
	return true, err
}

// drop forgets a challenge that was never committed to.
func (s *state) drop(key mpoc.Key, d *device, id mpoc.Hash) error {
	return s.changes.Do(func(tx *bolt.Tx) error {
		return errors.Join(
			keep(tx, key, d),
			tx.Bucket(bucketChallenges).Delete(id[:]),
			tx.Bucket(bucketOpen).Delete(id[:]),
		)
	})
}

// extend gives every challenge that is open some time from now on at least. It
// names the damaged ones, which are left as they are.
func (s *state) extend(now, least uint64) (damaged []error, err error) {
	err = s.db.Update(func(tx *bolt.Tx) error {
		var late []record
		damaged = nil
		err := tx.Bucket(bucketOpen).ForEach(func(id, _ []byte) error {
			var r record
			known, err := read(tx, bucketChallenges, id, &r)
			if errors.Is(err, errDamaged) {
				damaged = append(damaged, err)
				return nil
			}
			if !known || r.Verdict != nil || r.Until >= now+least {
				return err
			}
			if r.Until == 0 && r.Phase == offered { // from before there was lived time
				r.Until = now + r.Terms.Expiry - r.Terms.Issued
			}
			r.Until = max(r.Until, now+least)
			late = append(late, r)
			return err
		})
		for _, r := range late {
			id := r.Terms.ChallengeID
			err = errors.Join(err, write(tx, bucketChallenges, id[:], &r), tx.Bucket(bucketOpen).Put(id[:], number(ends(&r))))
		}
		return err
	})
	return damaged, err
}

// timeKept is the lived time that was written down. A file without it begins with
// the wall clock, from which the times in it are, but not behind the latest of
// them: the clock may be wrong now.
func (s *state) timeKept(wall uint64) (lived uint64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if raw := tx.Bucket(bucketMeta).Get(keyLived); len(raw) == 8 {
			lived = binary.BigEndian.Uint64(raw)
			return nil
		}
		var latest uint64
		for _, bucket := range [][]byte{bucketEnds, bucketUnproven} {
			if k, _ := tx.Bucket(bucket).Cursor().Last(); len(k) == 40 {
				latest = max(latest, binary.BigEndian.Uint64(k))
			}
		}
		if lived = wall; latest > 0 {
			lived = min(wall, latest)
		}
		return nil
	})
	return lived, err
}

// keepTime writes the lived time down.
func (s *state) keepTime(lived uint64) error {
	return s.changes.Do(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyLived, number(lived)) })
}

// overdue returns the devices whose challenges are over at a time, how many
// challenges are open in all, and the damaged ones among those that are over. It
// reads nothing of those that are not.
func (s *state) overdue(now uint64) (keys []mpoc.Key, open uint64, damaged []error, err error) {
	var lost [][]byte
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketOpen).ForEach(func(id, at []byte) error {
			open++
			if len(at) == 8 && binary.BigEndian.Uint64(at) >= now {
				return nil
			}
			var r record
			known, err := read(tx, bucketChallenges, id, &r)
			switch {
			case errors.Is(err, errDamaged):
				damaged, lost = append(damaged, err), append(lost, bytes.Clone(id))
				return nil
			case known:
				keys = append(keys, r.Terms.DeviceKey)
			default:
				open-- // of a device that was forgotten
			}
			return err
		})
	})
	if err != nil || len(lost) == 0 {
		return keys, open, damaged, err
	}
	open -= uint64(len(lost))
	return keys, open, damaged, s.changes.Do(func(tx *bolt.Tx) (err error) {
		for _, id := range lost { // whose it is its device says when it asks next
			err = errors.Join(err, tx.Bucket(bucketOpen).Delete(id))
		}
		return err
	})
}

// receipts returns up to n of a key's receipts from a number on, and the number
// to go on from.
func (s *state) receipts(key mpoc.Key, from uint64, n int) (list []mpoc.Receipt, next uint64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketReceipts).Cursor()
		for k, id := c.Seek(receiptKey(key, from)); len(k) == 40 && mpoc.Key(k[:32]) == key; k, id = c.Next() {
			if len(list) == n {
				next = binary.BigEndian.Uint64(k[32:])
				return nil
			}
			var r record
			known, err := read(tx, bucketChallenges, id, &r)
			if errors.Is(err, errDamaged) {
				continue
			}
			if err != nil {
				return err
			}
			if known && r.Receipt != nil {
				list = append(list, *r.Receipt)
			}
		}
		return nil
	})
	return list, next, err
}

// pruned is how many judged challenges are forgotten in one transaction.
const pruned = 1000

// prune forgets judged challenges that are older than keepJudged and devices that
// showed no work for keepUnproven, some at a time; more says that there may be
// others.
func (s *state) prune(now uint64) (forgot int, more bool, err error) {
	old := now - min(now, uint64(keepJudged.Milliseconds()))
	err = s.db.Update(func(tx *bolt.Tx) (err error) {
		if forgot, err = forget(tx, 0, now-min(now, uint64(keepUnproven.Milliseconds())), pruned); err != nil {
			return err
		}
		c := tx.Bucket(bucketEnds).Cursor()
		for range pruned {
			k, _ := c.First()
			if len(k) != 40 || binary.BigEndian.Uint64(k) >= old {
				return nil
			}
			k = bytes.Clone(k)
			if err := errors.Join(remove(tx, k[8:]), tx.Bucket(bucketEnds).Delete(k)); err != nil {
				return err
			}
		}
		more = true
		return nil
	})
	return forgot, more, err
}

// devices calls f for every device, and names the damaged ones.
func (s *state) devices(f func(mpoc.Key, device)) (damaged []error, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketDevices).ForEach(func(k, _ []byte) error {
			var d device
			_, err := read(tx, bucketDevices, k, &d)
			switch {
			case errors.Is(err, errDamaged):
				damaged = append(damaged, err)
				return nil
			case err == nil && len(k) == len(mpoc.Key{}):
				f(mpoc.Key(k), d)
			}
			return err
		})
	})
	return damaged, err
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func receiptKey(key mpoc.Key, n uint64) []byte {
	return append(key[:len(key):len(key)], number(n)...)
}
