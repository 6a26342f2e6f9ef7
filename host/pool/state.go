// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
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
	Phase     phase            `json:"phase"`
	Terms     mpoc.Terms       `json:"terms"`
	Signature signed.Signature `json:"signature"`
	Nonce     signed.Hash      `json:"nonce"`

	Commit    mpoc.Commit      `json:"commit"`
	CommitSig signed.Signature `json:"commit_signature"`
	Committed uint64           `json:"committed"` // when it arrived, unix ms
	Draw      mpoc.Draw        `json:"draw"`
	DrawSig   signed.Signature `json:"draw_signature"`

	// Offered, Until and Ended are lived time (clock.go): when it was made, when what
	// it waits for is over, and when it was judged. Elapsed is the milliseconds that
	// its device had for the commit.
	Offered uint64 `json:"offered,omitempty"`
	Until   uint64 `json:"until,omitempty"`
	Ended   uint64 `json:"ended,omitempty"`
	Elapsed uint64 `json:"elapsed,omitempty"`

	// Least is how many loops a commit must have, 0 in records from before there was
	// such a bound; Short says that one with fewer was refused.
	Least uint64 `json:"least,omitempty"`
	Short bool   `json:"short,omitempty"`

	Round uint32 `json:"round"` // of the questions that are open
	// an answer came that holds, and could not be checked
	Held    bool               `json:"held,omitempty"`
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
	Live         *signed.Hash      `json:"live,omitempty"` // its challenge
	// Rate is what the host measured, in operations a second: the fastest of its
	// recent audited submissions, which falls a little with each slower one.
	Rate uint64 `json:"rate,omitempty"`
	// Slower is the rate that is planned with instead of the one of Registration,
	// while that is the same: its commits were too short for what it claims.
	Slower   uint64 `json:"slower,omitempty"`
	Accepted uint64 `json:"accepted"`
	Faulty   uint64 `json:"faulty"`
	Rejected uint64 `json:"rejected"`
	Failed   uint64 `json:"failed"`
	Late     uint64 `json:"late"`
	Expired  uint64 `json:"expired"` // challenges never committed to
	Judged   uint64 `json:"judged"`  // receipts given, whatever they say
	// Recent is the standing at RecentAt (standing.go), Fades when it is over, and
	// Placed the place in bucketFading that was written last; lived time.
	Recent   uint64 `json:"recent,omitempty"`
	RecentAt uint64 `json:"recent_at,omitempty"`
	Fades    uint64 `json:"fades,omitempty"`
	Placed   uint64 `json:"placed,omitempty"`
	// Wary counts down the submissions that are checked harder after a finding.
	Wary   int    `json:"wary,omitempty"`
	Reason string `json:"reason,omitempty"` // of the last finding
}

const (
	bucketMeta       = "meta"
	bucketDevices    = "devices"    // key -> device
	bucketChallenges = "challenges" // id -> record
	// id of every challenge that is not judged -> lived ms when it is over
	bucketOpen     = "open"
	bucketReceipts = "judged"   // key, number of the receipt -> challenge id
	bucketEnds     = "ends"     // lived ms, id: judged ones by age
	bucketUnproven = "unproven" // lived ms of registration, key: devices without accepted work
	// lived ms of the end of its standing, key: devices with accepted work
	bucketFading = "fading"
)

var (
	keySecret = []byte("secret")
	keyLived  = []byte("lived") // ms
)

const (
	// A judged challenge and its receipt stay for keepJudged, and of a key the latest keepReceipts:
	// a machine that lost an answer asks before it goes on. A key without accepted work has
	// keepUnprovenReceipts, for as long as it is known itself.
	keepJudged           = 30 * 24 * time.Hour
	keepReceipts         = 128
	keepUnprovenReceipts = 16
	// Registrations are free. Those without accepted work stay for keepUnproven,
	// and the oldest go first when there are more than maxUnproven.
	keepUnproven = 24 * time.Hour
	maxUnproven  = 1 << 14
)

// options of the file. New buckets come last.
var (
	buckets = []string{bucketMeta, bucketDevices, bucketChallenges, bucketOpen, bucketReceipts,
		bucketEnds, bucketUnproven, bucketFading}
	options = store.Options{Kind: "pool", Version: 2, Migrate: migrate, Buckets: buckets}
)

// state is the pool's file. Methods that change write one flushed transaction.
type state struct {
	file *store.File
}

// openState opens the file, and names what was damaged in it. Errors are those of
// [store.Open].
func openState(path string, fresh func([]byte)) (s *state, secret []byte,
	damaged []error, err error) {
	return openStateAs(path, fresh, options)
}

func openStateAs(path string, fresh func([]byte), o store.Options) (s *state, secret []byte,
	damaged []error, err error) {
	file, hurt, err := store.Open(path, o)
	if err != nil {
		return nil, nil, nil, err
	}
	err = file.Update(func(tx *store.Tx) error {
		if damaged, err = mend(tx, hurt); err != nil {
			return err
		}
		have, _, err := tx.Raw(bucketMeta, keySecret)
		if err == nil && len(have) == 32 {
			secret = bytes.Clone(have)
			return nil
		}
		secret = make([]byte, 32)
		fresh(secret)
		return tx.PutRaw(bucketMeta, keySecret, secret)
	})
	if err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("pool: prepare %s: %w", path, err),
			file.Close())
	}
	return &state{file}, secret, damaged, nil
}

// read fills v and reports whether it was there.
func read(tx *store.Tx, bucket string, key []byte, v any) (bool, error) {
	raw, found, err := tx.Raw(bucket, key)
	if err == nil && found {
		if r, ok := v.(*record); ok {
			err = unpack(raw, r)
		} else {
			err = json.Unmarshal(raw, v)
		}
	}
	if err != nil {
		return false, fmt.Errorf("pool: the state's %s %x: %w: %w", bucket, key, errDamaged, err)
	}
	return found, nil
}

func write(tx *store.Tx, bucket string, key []byte, v any) error {
	if r, ok := v.(*record); ok {
		raw, err := pack(r)
		if err != nil {
			return err
		}
		return tx.PutRaw(bucket, key, raw)
	}
	return tx.Put(bucket, key, v)
}

// device returns what is known of a key.
func (s *state) device(key signed.Key) (d device, known bool, err error) {
	err = s.file.View(func(tx *store.Tx) (err error) {
		known, err = read(tx, bucketDevices, key[:], &d)
		return err
	})
	return d, known, err
}

// challenge returns a record.
func (s *state) challenge(id signed.Hash) (r record, known bool, err error) {
	err = s.file.View(func(tx *store.Tx) (err error) {
		known, err = read(tx, bucketChallenges, id[:], &r)
		return err
	})
	return r, known, err
}

// keep writes a device, and its place among those without accepted work.
func keep(tx *store.Tx, key signed.Key, d *device) error {
	at := append(store.Number(d.Since), key[:]...)
	if d.Accepted > 0 {
		err := place(tx, key, d)
		return errors.Join(err, write(tx, bucketDevices, key[:], d), tx.Delete(bucketUnproven, at))
	}
	return errors.Join(write(tx, bucketDevices, key[:], d), tx.PutRaw(bucketUnproven, at, nil))
}

// save writes a device and, if there is one, its challenge.
func (s *state) save(key signed.Key, d *device, r *record) error {
	return s.file.Do(func(tx *store.Tx) error {
		if err := keep(tx, key, d); err != nil || r == nil {
			return err
		}
		id := r.Terms.ChallengeID
		if err := write(tx, bucketChallenges, id[:], r); err != nil {
			return err
		}
		if r.Phase != judged {
			return tx.PutRaw(bucketOpen, id[:], store.Number(ends(r)))
		}
		most := uint64(keepReceipts)
		if d.Accepted == 0 {
			most = keepUnprovenReceipts
		}
		err := errors.Join(
			tx.Delete(bucketOpen, id[:]),
			tx.PutRaw(bucketReceipts, receiptKey(key, r.Number), id[:]),
			tx.PutRaw(bucketEnds, endKey(r), nil),
		)
		old, found, hurt := tx.Raw(bucketReceipts, receiptKey(key, r.Number-min(r.Number, most)))
		if found && hurt == nil {
			err = errors.Join(err, remove(tx, bytes.Clone(old)))
		}
		return err
	})
}

// remove forgets a judged challenge.
func remove(tx *store.Tx, id []byte) error {
	var r record
	known, err := read(tx, bucketChallenges, id, &r)
	if errors.Is(err, errDamaged) { // it is too old to matter, and what it says too
		return tx.Delete(bucketChallenges, id)
	}
	if err != nil || !known || r.Phase != judged {
		return err
	}
	return errors.Join(
		tx.Delete(bucketChallenges, id),
		tx.Delete(bucketReceipts, receiptKey(r.Terms.DeviceKey, r.Number)),
		tx.Delete(bucketEnds, endKey(&r)),
	)
}

// endKey is a judged challenge's place in bucketEnds.
func endKey(r *record) []byte {
	at := r.Ended
	if at == 0 { // from before there was lived time, which began as the wall clock
		at = max(r.Receipt.Proved, r.Receipt.Committed)
	}
	return append(store.Number(at), r.Terms.ChallengeID[:]...)
}

// errCrowded says that no other device could be forgotten for a new one.
var errCrowded = errors.New("pool: too many machines that have shown no work")

// register writes a device that is new, and forgets about excess others. Errors
// wrap errCrowded.
func (s *state) register(key signed.Key, d *device, excess int) (forgot int, err error) {
	err = s.file.Do(func(tx *store.Tx) (err error) {
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
func forget(tx *store.Tx, excess int, before uint64, looks int) (n int, err error) {
	var past [][]byte // of the index
	var oldest [][]byte
	err = tx.Each(bucketUnproven, nil, func(r store.Record) (bool, error) {
		if len(r.Key) != 40 {
			return true, nil
		}
		oldest = append(oldest, bytes.Clone(r.Key))
		return len(oldest) < looks, nil
	})
	if err != nil || looks <= 0 {
		return 0, err
	}
	for _, k := range oldest {
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
		if err := tx.Delete(bucketUnproven, k); err != nil {
			return n, err
		}
	}
	return n, nil
}

// discard drops a device with its offered challenge and its receipts, and tells
// whether it could: not one that has committed.
func discard(tx *store.Tx, key []byte, d *device) (bool, error) {
	var r record
	if d.Live != nil {
		known, err := read(tx, bucketChallenges, d.Live[:], &r)
		if errors.Is(err, errDamaged) {
			err, r = tx.Delete(bucketChallenges, d.Live[:]), record{}
		}
		if err != nil || known && r.Phase == committed {
			return false, err
		}
	}
	err := tx.Delete(bucketDevices, key)
	if r.Phase == offered {
		err = errors.Join(err, tx.Delete(bucketChallenges, d.Live[:]),
			tx.Delete(bucketOpen, d.Live[:]))
	}
	var ids [][]byte
	err = errors.Join(err, tx.Each(bucketReceipts, key, func(r store.Record) (bool, error) {
		if id, err := r.Raw(); err == nil && bytes.HasPrefix(r.Key, key) {
			ids = append(ids, bytes.Clone(id))
		}
		return bytes.HasPrefix(r.Key, key), nil
	}))
	for _, id := range ids {
		err = errors.Join(err, remove(tx, id))
	}
	return true, err
}

// drop forgets a challenge that was never committed to.
func (s *state) drop(key signed.Key, d *device, id signed.Hash) error {
	return s.file.Do(func(tx *store.Tx) error {
		return errors.Join(
			keep(tx, key, d),
			tx.Delete(bucketChallenges, id[:]),
			tx.Delete(bucketOpen, id[:]),
		)
	})
}

// extend gives every challenge that is open some time from now on at least. It
// names the damaged ones, which are left as they are.
func (s *state) extend(now, least uint64) (damaged []error, err error) {
	err = s.file.Update(func(tx *store.Tx) error {
		var late []record
		damaged = nil
		err := tx.Each(bucketOpen, nil, func(open store.Record) (bool, error) {
			var r record
			known, err := read(tx, bucketChallenges, open.Key, &r)
			if errors.Is(err, errDamaged) {
				damaged = append(damaged, err)
				return true, nil
			}
			if !known || r.Verdict != nil || r.Until >= now+least {
				return err == nil, err
			}
			if r.Until == 0 && r.Phase == offered { // from before there was lived time
				r.Until = now + r.Terms.Expiry - r.Terms.Issued
			}
			r.Until = max(r.Until, now+least)
			late = append(late, r)
			return err == nil, err
		})
		for _, r := range late {
			id := r.Terms.ChallengeID
			err = errors.Join(err, write(tx, bucketChallenges, id[:], &r),
				tx.PutRaw(bucketOpen, id[:], store.Number(ends(&r))))
		}
		return err
	})
	return damaged, err
}

// timeKept is the lived time that was written down. A file without it begins with
// the wall clock, from which the times in it are, but not behind the latest of
// them: the clock may be wrong now.
func (s *state) timeKept(wall uint64) (lived uint64, err error) {
	err = s.file.View(func(tx *store.Tx) error {
		if raw, _, err := tx.Raw(bucketMeta, keyLived); err == nil && len(raw) == 8 {
			lived = binary.BigEndian.Uint64(raw)
			return nil
		}
		var latest uint64
		for _, bucket := range []string{bucketEnds, bucketUnproven} {
			if err := tx.Back(bucket, bytes.Repeat([]byte{0xff}, 41),
				func(r store.Record) (bool, error) {
					if len(r.Key) == 40 {
						latest = max(latest, binary.BigEndian.Uint64(r.Key))
					}
					return false, nil
				}); err != nil {
				return err
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
	return s.file.Do(func(tx *store.Tx) error {
		return tx.PutRaw(bucketMeta, keyLived, store.Number(lived))
	})
}

// overdue returns the devices whose challenges are over at a time, how many
// challenges are open in all, and the damaged ones among those that are over. It
// reads nothing of those that are not.
func (s *state) overdue(now uint64) (keys []signed.Key, open uint64, damaged []error, err error) {
	var lost [][]byte
	err = s.file.View(func(tx *store.Tx) error {
		return tx.Each(bucketOpen, nil, func(o store.Record) (bool, error) {
			open++
			if at, err := o.Raw(); err == nil && len(at) == 8 &&
				binary.BigEndian.Uint64(at) >= now {
				return true, nil
			}
			var r record
			known, err := read(tx, bucketChallenges, o.Key, &r)
			switch {
			case errors.Is(err, errDamaged):
				damaged, lost = append(damaged, err), append(lost, bytes.Clone(o.Key))
				return true, nil
			case known:
				keys = append(keys, r.Terms.DeviceKey)
			default:
				open-- // of a device that was forgotten
			}
			return err == nil, err
		})
	})
	if err != nil || len(lost) == 0 {
		return keys, open, damaged, err
	}
	open -= uint64(len(lost))
	return keys, open, damaged, s.file.Do(func(tx *store.Tx) (err error) {
		for _, id := range lost { // whose it is its device says when it asks next
			err = errors.Join(err, tx.Delete(bucketOpen, id))
		}
		return err
	})
}

// receipts returns up to n of a key's receipts from a number on, and the number
// to go on from.
func (s *state) receipts(key signed.Key, from uint64, n int) (list []mpoc.Receipt,
	next uint64, err error) {
	err = s.file.View(func(tx *store.Tx) error {
		return tx.Each(bucketReceipts, receiptKey(key, from), func(at store.Record) (bool, error) {
			if len(at.Key) != 40 || signed.Key(at.Key[:32]) != key {
				return false, nil
			}
			if len(list) == n {
				next = binary.BigEndian.Uint64(at.Key[32:])
				return false, nil
			}
			id, err := at.Raw()
			if err != nil {
				return true, nil
			}
			var r record
			known, err := read(tx, bucketChallenges, id, &r)
			if errors.Is(err, errDamaged) {
				return true, nil
			}
			if known && r.Receipt != nil {
				list = append(list, *r.Receipt)
			}
			return err == nil, err
		})
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
	err = s.file.Update(func(tx *store.Tx) (err error) {
		if forgot, err = forget(tx, 0, now-min(now, uint64(keepUnproven.Milliseconds())),
			pruned); err != nil {
			return err
		}
		var keys [][]byte
		err = tx.Each(bucketEnds, nil, func(r store.Record) (bool, error) {
			if len(r.Key) == 40 && binary.BigEndian.Uint64(r.Key) >= old {
				return false, nil
			}
			keys = append(keys, bytes.Clone(r.Key))
			return len(keys) < pruned, nil
		})
		for _, k := range keys {
			err = errors.Join(err, remove(tx, k[min(8, len(k)):]), tx.Delete(bucketEnds, k))
		}
		more = len(keys) == pruned
		return err
	})
	return forgot, more, err
}

// devices calls f for every device, and names the damaged ones.
func (s *state) devices(f func(signed.Key, device)) (damaged []error, err error) {
	err = s.file.View(func(tx *store.Tx) error {
		return tx.Each(bucketDevices, nil, func(r store.Record) (bool, error) {
			var d device
			_, err := read(tx, bucketDevices, r.Key, &d)
			switch {
			case errors.Is(err, errDamaged):
				damaged = append(damaged, err)
				return true, nil
			case err == nil && len(r.Key) == len(signed.Key{}):
				f(signed.Key(r.Key), d)
			}
			return err == nil, err
		})
	})
	return damaged, err
}

func receiptKey(key signed.Key, n uint64) []byte {
	return append(key[:len(key):len(key)], store.Number(n)...)
}
