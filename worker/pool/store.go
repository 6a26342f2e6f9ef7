// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/marker"
	"github.com/assaynet/assay/internal/sealed"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// Phase is how far the machine has come with its challenge.
type Phase string

// The phases.
const (
	Computing Phase = "computing"
	Committed Phase = "committed" // the commit is fixed, and may have been sent
	Drawn     Phase = "drawn"     // the questions are known
	Over      Phase = "over"      // kept so that it is not begun again
)

// state is the state file: all that is needed to go on after a crash. The counts
// are written with the phase that they count, so none is counted twice or missed.
type state struct {
	challenge
	Counts Counts `json:"counts"`
}

// challenge is one that was asked for, and how far it has come.
type challenge struct {
	Phase         Phase            `json:"phase"`
	Terms         mpoc.Terms       `json:"terms"`
	Signature     signed.Signature `json:"signature"`
	Token         signed.Hash      `json:"token"`
	Commit        mpoc.Commit      `json:"commit"`
	Draw          mpoc.Draw        `json:"draw"`
	DrawSignature signed.Signature `json:"draw_signature"`
}

func (c *challenge) log() mpoc.Log { return mpoc.Log{Terms: c.Terms, Commit: c.Commit} }

const (
	// keepMissing is of how many submissions the receipts are asked for: what an
	// hour's outage leaves.
	keepMissing = 64
	// A record of the units' file: how many digests, the milliseconds they took,
	// the digests, and 16 bytes of SHA-256 over challenge, place and all that.
	recordHead = 8
	recordSum  = 16
)

// store is the machine's folder. It belongs to Run.
type store struct {
	home    string
	current *challenge // nil: none yet
	// missing are the submissions that were committed and ended without a receipt:
	// the host, which was not heard, may have judged them. The oldest is first.
	missing []challenge
	// written is current as the disk has it.
	written challenge
	units   *durable.File
	size    int64      // of units, as far as it is whole
	torn    bool       // there may be more than size in it
	digests [][32]byte // of current's loops
	tookMS  uint64     // that they took
	saved   Counts     // when the state was written last
	*proofs
	acceptLoss bool
}

// counts are those of all earlier starts, and of the loops of a challenge that was
// not at its end.
func (s *store) counts() Counts {
	c := s.saved
	if s.current != nil && s.current.Phase == Computing {
		c.Loops += uint64(len(s.digests))
	}
	return c
}

// Versions of the files in the folder mpoc.
const (
	stateVersion   = "assay-worker-challenge/1"
	missingVersion = "assay-worker-missing/1"
)

// folders of a machine's home.
var folders = []string{"mpoc", receiptsDir, transfersDir, evidenceDir}

// ErrLost reports files of a machine that are missing or damaged, which is no fresh start.
var ErrLost = errors.New("pool: files of this machine are lost")

// openStore reads what an earlier run left. What is damaged, or missing beside what is there, is
// refused with ErrLost, unless the loss is accepted: then a damaged file is set aside.
func openStore(home string, acceptLoss bool) (*store, error) {
	s := &store{home: home, acceptLoss: acceptLoss}
	if err := s.whole(); err != nil {
		return nil, err
	}
	for _, dir := range folders {
		if err := durable.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			return nil, fmt.Errorf("pool: home: %w", err)
		}
		if err := durable.Sweep(filepath.Join(home, dir)); err != nil {
			return nil, fmt.Errorf("pool: home: %w", err)
		}
	}
	var old state
	switch found, err := s.read(s.path(), stateVersion, "the challenge under way and the counts",
		&old); {
	case err != nil:
		return nil, err
	case found && old.Terms.Verify(old.Signature) == nil:
		s.current, s.written, s.saved = &old.challenge, old.challenge, old.Counts
	case found:
		if err := s.lost(s.path(), "the challenge under way and the counts",
			errors.New("no host signed its challenge")); err != nil {
			return nil, err
		}
	}
	if _, err := s.read(s.missingPath(), missingVersion,
		"which receipts were still to be asked for", &s.missing); err != nil {
		return nil, err
	}
	var err error
	if s.proofs, err = openProofs(home, s.read); err != nil {
		return nil, err
	}
	if acceptLoss {
		if err := s.brand(); err != nil {
			return nil, err
		}
	}
	units := filepath.Join(home, "mpoc", "units")
	if err := durable.Create(units, nil, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("pool: units: %w", err)
	}
	if s.units, err = durable.Open(units); err != nil {
		return nil, fmt.Errorf("pool: units: %w", err)
	}
	if s.current != nil && s.current.Phase != Over {
		err = s.load()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// whole refuses a home of which a part is missing. A home from before there were markers has no
// paid.json, and gets both.
func (s *store) whole() error {
	if s.acceptLoss {
		return nil
	}
	var paid paidFile
	found, err := s.read(filepath.Join(s.home, "mpoc", "paid.json"), paidVersion,
		"which transfers were counted", &paid)
	if err != nil {
		return err
	}
	refuse := func(what string, err error) error {
		return fmt.Errorf("%w: %w, and with it %s; is a disk not mounted? Put it back, or start "+
			"with --accept-loss to go on without", ErrLost, err, what)
	}
	if found {
		for _, dir := range folders {
			if err := marker.Check(filepath.Join(s.home, dir), paid.ID); errors.Is(err,
				marker.ErrStranger) {
				return refuse("what it held of receipts, transfers or evidence", err)
			} else if err != nil {
				return fmt.Errorf("pool: home: %w", err)
			}
		}
	}
	for _, part := range []struct{ missing, beside, what string }{
		{s.path(), receiptsDir, "the challenge under way and the counts"},
		{filepath.Join(s.home, "mpoc", "paid.json"), transfersDir, "which transfers were counted"},
	} {
		if _, err := os.Stat(part.missing); !errors.Is(err, fs.ErrNotExist) {
			continue // there, or reading it says why not
		}
		list, err := os.ReadDir(filepath.Join(s.home, part.beside))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("pool: home: %w", err)
		}
		if slices.ContainsFunc(list, func(e fs.DirEntry) bool {
			return !strings.HasPrefix(e.Name(), ".")
		}) {
			return refuse(part.what, fmt.Errorf("%s is missing, although %s holds files",
				part.missing, part.beside))
		}
	}
	return nil
}

// read reads a sealed file into v, or one from before there were seals; found is false where there
// is none, or a damaged one whose loss is accepted.
func (s *store) read(path, version, what string, v any) (found bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return false, s.lost(path, what, errors.New("it is no regular file"))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("pool: %w", err)
	}
	err = sealed.Unmarshal(text, version, v)
	if errors.Is(err, sealed.ErrUnsealed) || len(text) > 0 && text[0] == '[' {
		if err = json.Unmarshal(text, v); err == nil {
			return true, nil
		}
	}
	if errors.Is(err, sealed.ErrVersion) && !s.acceptLoss {
		return false, fmt.Errorf("%w: %s was %w; run that version, or start with --accept-loss "+
			"to set it aside, and with it %s", ErrLost, path, err, what)
	}
	if err != nil {
		return false, s.lost(path, what, err)
	}
	return true, nil
}

// lost refuses a file, or sets it aside where the loss is accepted.
func (s *store) lost(path, what string, why error) error {
	if !s.acceptLoss {
		return fmt.Errorf("%w: %s is damaged (%w), and with it %s; put it back from a backup, or "+
			"start with --accept-loss to set it aside", ErrLost, path, why, what)
	}
	for n := range keepAside {
		aside := path + ".aside"
		if n > 0 {
			aside += fmt.Sprint("-", n+1)
		}
		if _, err := os.Lstat(aside); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := durable.Rename(path, aside); err != nil {
			return fmt.Errorf("pool: %w", err)
		}
		return nil
	}
	return fmt.Errorf("%w: %d files were set aside beside %s already; move them elsewhere",
		ErrLost, keepAside, path)
}

// keepAside is how many losses of one file can be accepted before its owner looks.
const keepAside = 9

func (s *store) close() error { return s.units.Close() }

func (s *store) path() string        { return filepath.Join(s.home, "mpoc", "state.json") }
func (s *store) missingPath() string { return filepath.Join(s.home, "mpoc", "missing.json") }

// miss remembers durably that a submission has no receipt.
func (s *store) miss(c challenge) error {
	list := append(s.others(c.Terms.ChallengeID), c)
	return s.saveMissing(list[max(0, len(list)-keepMissing):])
}

// found forgets that a submission has no receipt.
func (s *store) found(id signed.Hash) error {
	list := s.others(id)
	if len(list) == len(s.missing) {
		return nil
	}
	return s.saveMissing(list)
}

// others are all that are missing but one.
func (s *store) others(id signed.Hash) (list []challenge) {
	for _, c := range s.missing {
		if c.Terms.ChallengeID != id {
			list = append(list, c)
		}
	}
	return list
}

func (s *store) saveMissing(list []challenge) error {
	text, err := sealed.Marshal(missingVersion, list)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(s.missingPath(), text, 0o600); err != nil {
		return fmt.Errorf("pool: missing receipts: %w", err)
	}
	s.missing = list
	return nil
}

// save writes the state durably; the file is the old or the new one. After an error the state in
// memory is the old one too: nothing is sent that would be forgotten by a crash.
func (s *store) save(counts Counts) (err error) {
	defer func() {
		if err == nil {
			s.written = *s.current
		} else {
			*s.current = s.written
		}
	}()
	text, err := sealed.Marshal(stateVersion, state{*s.current, counts})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(s.path(), text, 0o600); err != nil {
		return fmt.Errorf("pool: state: %w", err)
	}
	return nil
}

// begin makes a challenge the current one. The old one's units, should a crash
// leave them, do not have its sums.
func (s *store) begin(c challenge, counts Counts) error {
	last, digests, took := s.current, s.digests, s.tookMS
	s.current, s.digests, s.tookMS = &c, nil, 0
	if err := s.save(counts); err != nil {
		s.current, s.digests, s.tookMS = last, digests, took
		return err
	}
	return s.cut(0)
}

// cut makes the units' file as long as what is whole in it. Where that fails, the next one tries
// again.
func (s *store) cut(size int64) error {
	s.size, s.torn = size, true
	err := s.units.Truncate(size)
	if err == nil {
		_, err = s.units.Seek(size, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("pool: units: %w", err)
	}
	s.torn = false
	return nil
}

// sum seals a record whose first loop is first.
func (s *store) sum(first int, record []byte) []byte {
	id := s.current.Terms.ChallengeID
	whole := binary.LittleEndian.AppendUint64(id[:], uint64(first))
	sum := sha256.Sum256(append(whole, record...))
	return sum[:recordSum]
}

// add appends a slice's digests, durably.
func (s *store) add(digests [][32]byte, took time.Duration) error {
	ms := uint32(min(took.Milliseconds(), 1<<31))
	record := binary.LittleEndian.AppendUint32(nil, uint32(len(digests)))
	record = binary.LittleEndian.AppendUint32(record, ms)
	for _, d := range digests {
		record = append(record, d[:]...)
	}
	record = append(record, s.sum(len(s.digests), record)...)
	if s.torn {
		if err := s.cut(s.size); err != nil {
			return err
		}
	}
	_, err := s.units.Write(record)
	if err == nil {
		err = s.units.Sync()
	}
	if err != nil {
		_ = s.cut(s.size) // or before the next record
		return fmt.Errorf("pool: units: %w", err)
	}
	s.size += int64(len(record))
	s.digests, s.tookMS = append(s.digests, digests...), s.tookMS+uint64(ms)
	return nil
}

// load reads the records that hold, and cuts off what a crash left behind them.
func (s *store) load() error {
	data, err := io.ReadAll(s.units)
	if err != nil {
		return fmt.Errorf("pool: units: %w", err)
	}
	at := 0
	for {
		rest := data[at:]
		if len(rest) < recordHead {
			break
		}
		n := int(binary.LittleEndian.Uint32(rest))
		size := recordHead + 32*n
		if n == 0 || n > mpoc.MaxLoops || len(rest) < size+recordSum ||
			!bytes.Equal(rest[size:size+recordSum], s.sum(len(s.digests), rest[:size])) {
			break
		}
		for d := range slices.Chunk(rest[recordHead:size], 32) {
			s.digests = append(s.digests, [32]byte(d))
		}
		s.tookMS += uint64(binary.LittleEndian.Uint32(rest[4:]))
		at += size + recordSum
	}
	return s.cut(int64(at))
}

const (
	evidenceDir = "evidence"
	// keepHostEvidence is how many files show what hosts did, at most a megabyte each. Each ends
	// the work for its host, and more of them show nothing new.
	keepHostEvidence = 1000
)

// evidence keeps a file about what the host did to a challenge.
func (s *store) evidence(id signed.Hash, what string, text []byte) (string, error) {
	dir := filepath.Join(s.home, evidenceDir)
	path := filepath.Join(dir, id.String()[2:18]+"-"+what+".json")
	list, err := os.ReadDir(dir)
	if err == nil && len(list) >= keepHostEvidence {
		return "", fmt.Errorf("pool: evidence: %s holds %d files; move them elsewhere",
			dir, len(list))
	}
	if err == nil {
		err = durable.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("pool: evidence: %w", err)
	}
	return path, nil
}
