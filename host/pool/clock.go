// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"time"

	"github.com/assaynet/assay/poc/mpoc"
)

// A challenge's deadlines and the age of whatever is forgotten are counted in
// lived time (package clock), which the state keeps over restarts: while the host
// is away, stands still or has its clock set, nobody is late and nothing gets old.
// After each of these every open question stands for answerTime at least, because
// machines have to find back. Dates that machines are shown, and sign, are the
// wall clock's.

// now is the host's wall clock in unix milliseconds.
func (p *Pool) now() uint64 { return uint64(p.clock.Wall().UnixMilli()) }

// lived is the host's lived time in milliseconds. Where it did not pass evenly,
// whatever is open has been given its time before this returns.
func (p *Pool) lived() uint64 {
	p.time.Lock()
	defer p.time.Unlock()
	if p.owed || p.clock.Behind() {
		if err := p.catchUp(); err != nil {
			p.log.Error("deadlines could not be extended; trying again", "err", err)
		}
	}
	return p.clock.Lived()
}

// tick says that the host works. On an error nothing may be judged by its time.
func (p *Pool) tick() error {
	p.time.Lock()
	defer p.time.Unlock()
	return p.catchUp()
}

// catchUp ticks and gives what is open its time after a gap. The caller holds
// p.time.
func (p *Pool) catchUp() error {
	if gap := p.clock.Tick(); gap.Any() {
		p.owed = true
		p.log.Warn("time did not pass evenly; every deadline is extended", "reason", gap.String())
	}
	if !p.owed {
		return nil
	}
	if err := p.extend(); err != nil {
		return err
	}
	p.owed = false
	return nil
}

// extend gives every challenge that is open answerTime from now at least.
func (p *Pool) extend() error {
	damaged, err := p.state.extend(p.clock.Lived(), uint64(answerTime.Milliseconds()))
	p.damaged(damaged)
	return err
}

// damaged names records that cannot be read. What they are about is lost, and
// nothing else.
func (p *Pool) damaged(list []error) {
	for _, err := range list {
		p.log.Error("a record of the pool is damaged and left out", "path", p.c.State, "err", err)
	}
}

// elapsed is how long a device had for a commit, as far as the host can know: a
// restart is not lived, and the wall clock may have been set.
func elapsed(r *record, wall, lived uint64) uint64 {
	return max(lived-min(lived, r.Offered), wall-min(wall, r.Terms.Issued))
}

// arrived is the date of a commit. What the lived time says of it stands: a clock
// that was set makes nobody late and nobody early.
func arrived(t mpoc.Terms, wall uint64, late bool) uint64 {
	if late {
		return max(wall, t.Expiry+1)
	}
	return min(max(wall, t.Issued), t.Expiry)
}

// until is a moment of the lived time as a date.
func (p *Pool) until(lived uint64) uint64 {
	now := p.clock.Lived()
	return p.now() + lived - min(lived, now)
}

// saved is how often the lived time is written down: what a crash may take of it.
const saved = time.Minute

// saveTime writes the lived time down.
func (p *Pool) saveTime() error { return p.state.keepTime(p.clock.Lived()) }

// errDamaged reports a record that is not what was written.
var errDamaged = errors.New("damaged")
