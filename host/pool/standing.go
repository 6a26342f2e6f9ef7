// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"time"

	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/host/store"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// A key's standing is the sum of its verified operations, each of which counts half
// after halfLife. It decides what a machine may cost the host before the others:
// whose messages and audits have room of their own, whose registration is kept, and
// which machines have a place among the nodes of the Sprint. Keys cost nothing and
// one submission costs little, so nothing of this is bought for good: who stops
// working has, after a day, a sixteenth of it.
//
// A standing below a quarter of the least submission of the slowest plan is none. So
// the smallest submission stands for two half-lives, and a fast machine that was
// away for a week still stands.

const (
	// halfLife is in lived time, as all ages.
	halfLife = 6 * time.Hour
	// unitBits is the logarithm of the operations that a standing is counted in.
	unitBits = 20
	// maxProven is how many keys with accepted work are remembered. The weakest go
	// first when there are more. Each has a record of about 1 KB and, while they are not
	// older than keepJudged, at most keepReceipts receipts of about 2.2 KB on disk: with
	// 100 machines 28 MB, and 4.6 GB if all 16,384 keys gave as many.
	maxProven = 1 << 14
)

// decayed is what is left of a standing after a time in ms.
func decayed(standing, ms uint64) uint64 {
	half := uint64(halfLife.Milliseconds())
	n := ms / half
	if n >= 64 {
		return 0
	}
	standing >>= n
	hi, lo := bits.Mul64(standing, ms%half)
	part, _ := bits.Div64(hi, lo, 2*half)
	return standing - part
}

// lasts is how many ms a standing takes to fall to nothing, which is not zero.
func lasts(standing, nothing uint64) (ms uint64) {
	half := uint64(halfLife.Milliseconds())
	if standing < nothing {
		return 0
	}
	for ; standing/2 >= nothing; standing /= 2 {
		ms += half
	}
	hi, lo := bits.Mul64(standing-nothing, 2*half)
	part, _ := bits.Div64(hi, lo, standing)
	return ms + part
}

// nothing is the standing below which a key has none.
func (p *Pool) nothing() uint64 {
	duration := p.c.Duration
	if duration == 0 {
		duration = time.Minute
	}
	smallest := mpoc.Shapes()[0]
	loops := least(floorRate, smallest, uint64(duration.Milliseconds()), mpoc.MaxLoops)
	return max(1, loops*smallest.Ops()/4>>unitBits)
}

// standing is a device's, in 2^20 operations; 0 is none.
func (p *Pool) standing(d *device) uint64 {
	lived := p.clock.Lived()
	now := decayed(d.Recent, lived-min(lived, d.RecentAt))
	if now < p.nothing() {
		return 0
	}
	return now
}

// raise adds verified operations to a device's standing, and reports whether it had
// none.
func (p *Pool) raise(d *device, ops uint64) (fresh bool) {
	before, lived := p.standing(d), p.clock.Lived()
	sum, over := bits.Add64(before, max(ops>>unitBits, 1), 0)
	if over != 0 {
		sum = 1<<64 - 1
	}
	d.Recent, d.RecentAt = sum, lived
	d.Fades = lived + lasts(sum, p.nothing())
	return before == 0
}

// Recent is a key's standing: its verified operations in 2^20, each half as much after
// six hours in which the host worked. 0 is none.
func (p *Pool) Recent(key signed.Key) (uint64, error) {
	d, _, err := p.state.device(key)
	if err != nil {
		return 0, err
	}
	return p.standing(&d), nil
}

// lose takes a device's standing away.
func (p *Pool) lose(d *device) {
	d.Recent, d.Fades = 0, p.clock.Lived()
}

// Verified adds operations that were verified elsewhere, in the Sprint, to a key's
// standing. A key that the pool does not know has none.
func (p *Pool) Verified(key signed.Key, ops uint64) error {
	if ops == 0 {
		return nil
	}
	unlock := p.lock(key)
	defer unlock()
	d, known, err := p.state.device(key)
	if err != nil || !known || d.Accepted == 0 {
		return err
	}
	p.raise(&d, ops)
	return p.state.save(key, &d, nil)
}

// owes reports whether the ledger has something for a key that is not paid. Where it
// cannot tell it says so too.
func (p *Pool) owes(key signed.Key) bool {
	a, err := p.c.Ledger.Account(ledger.Device(key))
	if errors.Is(err, ledger.ErrUnknown) {
		return false
	}
	return err != nil || !a.Locked.IsZero() || !a.Due.IsZero() || !a.Settling.IsZero()
}

// place writes a device's place in the index of fading standings.
func place(tx *store.Tx, key signed.Key, d *device) error {
	if d.Fades == 0 { // of before there was a standing
		return nil
	}
	var err error
	if d.Placed != d.Fades {
		err = tx.Delete(bucketFading, append(store.Number(d.Placed), key[:]...))
	}
	d.Placed = d.Fades
	return errors.Join(err, tx.PutRaw(bucketFading, append(store.Number(d.Placed), key[:]...), nil))
}

// fade forgets devices whose standing ended before a time, unless something is owed to
// them, and as many as are excess whatever is owed, since that is the ledger's: the
// weakest first, so many at most; not one that has committed.
func (s *state) fade(before uint64, excess, most int,
	owes func(signed.Key) bool) (forgot []signed.Key, err error) {
	err = s.file.Update(func(tx *store.Tx) error {
		forgot = nil
		var weakest [][]byte
		err := tx.Each(bucketFading, nil, func(r store.Record) (bool, error) {
			if len(r.Key) == 40 {
				weakest = append(weakest, bytes.Clone(r.Key))
			}
			return len(weakest) < most, nil
		})
		if err != nil {
			return err
		}
		for _, at := range weakest {
			key, crowded := signed.Key(at[8:]), len(forgot) < excess
			if !crowded && binary.BigEndian.Uint64(at) >= before {
				return nil
			}
			var d device
			known, err := read(tx, bucketDevices, key[:], &d)
			switch damaged := errors.Is(err, errDamaged); {
			case err != nil && !damaged:
				return err
			case damaged:
				d = device{} // it goes as the others do
			case !known:
				if err := tx.Delete(bucketFading, at); err != nil {
					return err
				}
				continue
			case !crowded && owes(key): // looked at again after as long
				d.Fades, d.Placed = before+uint64(keepJudged.Milliseconds()),
					binary.BigEndian.Uint64(at)
				if err := keep(tx, key, &d); err != nil {
					return err
				}
				continue
			}
			gone, err := discard(tx, key[:], &d)
			if err != nil {
				return err
			}
			if gone {
				forgot = append(forgot, key)
				if err := tx.Delete(bucketFading, at); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return forgot, err
}

// fade forgets machines that worked long ago, and the weakest where there are too
// many.
func (p *Pool) fade() error {
	var proven int
	p.count(func(t *totals) { proven = int(t.devices) - t.unproven })
	lived := p.lived()
	forgot, err := p.state.fade(lived-min(lived, uint64(keepJudged.Milliseconds())),
		max(0, proven-maxProven), pruned, p.owes)
	if err != nil || len(forgot) == 0 {
		return err
	}
	p.count(func(t *totals) { t.devices -= min(t.devices, uint64(len(forgot))) })
	for _, key := range forgot {
		p.log.Info("a machine that has not worked for long is forgotten; what it earned stays in "+
			"the ledger", "key", key.String())
		if p.c.Forgotten != nil {
			p.c.Forgotten(key)
		}
	}
	return nil
}

// stand gives devices of a file from before there was a standing the one of a small
// submission: they have a day to show more.
func (p *Pool) stand() error {
	var list []device
	if _, err := p.state.devices(func(_ signed.Key, d device) {
		if d.Accepted > 0 && d.Fades == 0 {
			list = append(list, d)
		}
	}); err != nil {
		return err
	}
	for some := range slices.Chunk(list, pruned) {
		err := p.state.file.Update(func(tx *store.Tx) (err error) {
			for i := range some {
				p.raise(&some[i], p.nothing()<<unitBits*4)
				err = errors.Join(err, keep(tx, some[i].Registration.DeviceKey, &some[i]))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
