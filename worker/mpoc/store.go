// SPDX-License-Identifier: Apache-2.0

package mpoc

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
	poc "github.com/assaynet/assay/poc/mpoc"
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
	Phase         Phase         `json:"phase"`
	Terms         poc.Terms     `json:"terms"`
	Signature     poc.Signature `json:"signature"`
	Token         poc.Hash      `json:"token"`
	Commit        poc.Commit    `json:"commit"`
	Draw          poc.Draw      `json:"draw"`
	DrawSignature poc.Signature `json:"draw_signature"`
}

func (c *challenge) log() poc.Log { return poc.Log{Terms: c.Terms, Commit: c.Commit} }

const (
	keepReceipts = 1000
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
	units   *os.File
	digests [][32]byte // of current's loops
	tookMS  uint64     // that they took
	saved   Counts     // when the state was written last
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

// openStore reads what an earlier run left. What cannot be read is put aside.
func openStore(home string) (*store, error) {
	for _, dir := range []string{"mpoc", "receipts", "evidence"} {
		if err := durable.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			return nil, fmt.Errorf("mpoc: home: %w", err)
		}
		if err := durable.Sweep(filepath.Join(home, dir)); err != nil {
			return nil, fmt.Errorf("mpoc: home: %w", err)
		}
	}
	s := &store{home: home}
	text, err := os.ReadFile(s.path())
	if err == nil {
		var old state
		if err := json.Unmarshal(text, &old); err == nil && old.Terms.Verify(old.Signature) == nil {
			s.current, s.saved = &old.challenge, old.Counts
		} else if err := durable.Rename(s.path(), s.path()+".unreadable"); err != nil {
			return nil, fmt.Errorf("mpoc: state: %w", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("mpoc: state: %w", err)
	}
	if err := s.loadMissing(); err != nil {
		return nil, err
	}
	units := filepath.Join(home, "mpoc", "units")
	if err := durable.Create(units, nil, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("mpoc: units: %w", err)
	}
	if s.units, err = os.OpenFile(units, os.O_RDWR, 0); err != nil {
		return nil, fmt.Errorf("mpoc: units: %w", err)
	}
	if s.current != nil && s.current.Phase != Over {
		err = s.load()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *store) close() error { return s.units.Close() }

func (s *store) path() string        { return filepath.Join(s.home, "mpoc", "state.json") }
func (s *store) missingPath() string { return filepath.Join(s.home, "mpoc", "missing.json") }

func (s *store) loadMissing() error {
	text, err := os.ReadFile(s.missingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mpoc: missing receipts: %w", err)
	}
	if err := json.Unmarshal(text, &s.missing); err == nil {
		return nil
	}
	s.missing = nil
	if err := durable.Rename(s.missingPath(), s.missingPath()+".unreadable"); err != nil {
		return fmt.Errorf("mpoc: missing receipts: %w", err)
	}
	return nil
}

// miss remembers durably that a submission has no receipt.
func (s *store) miss(c challenge) error {
	list := append(s.others(c.Terms.ChallengeID), c)
	return s.saveMissing(list[max(0, len(list)-keepMissing):])
}

// found forgets that a submission has no receipt.
func (s *store) found(id poc.Hash) error {
	list := s.others(id)
	if len(list) == len(s.missing) {
		return nil
	}
	return s.saveMissing(list)
}

// others are all that are missing but one.
func (s *store) others(id poc.Hash) (list []challenge) {
	for _, c := range s.missing {
		if c.Terms.ChallengeID != id {
			list = append(list, c)
		}
	}
	return list
}

func (s *store) saveMissing(list []challenge) error {
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(s.missingPath(), text, 0o600); err != nil {
		return fmt.Errorf("mpoc: missing receipts: %w", err)
	}
	s.missing = list
	return nil
}

// save writes the state durably; the file is the old or the new one.
func (s *store) save(counts Counts) error {
	text, err := json.MarshalIndent(state{*s.current, counts}, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(s.path(), text, 0o600); err != nil {
		return fmt.Errorf("mpoc: state: %w", err)
	}
	return nil
}

// begin makes a challenge the current one. The old one's units, should a crash
// leave them, do not have its sums.
func (s *store) begin(c challenge, counts Counts) error {
	s.current, s.digests, s.tookMS = &c, nil, 0
	if err := s.save(counts); err != nil {
		return err
	}
	return s.cut(0)
}

func (s *store) cut(size int64) error {
	err := s.units.Truncate(size)
	if err == nil {
		_, err = s.units.Seek(size, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("mpoc: units: %w", err)
	}
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
	_, err := s.units.Write(record)
	if err == nil {
		err = s.units.Sync()
	}
	if err != nil {
		return fmt.Errorf("mpoc: units: %w", err)
	}
	s.digests, s.tookMS = append(s.digests, digests...), s.tookMS+uint64(ms)
	return nil
}

// load reads the records that hold, and cuts off what a crash left behind them.
func (s *store) load() error {
	data, err := io.ReadAll(s.units)
	if err != nil {
		return fmt.Errorf("mpoc: units: %w", err)
	}
	at := 0
	for {
		rest := data[at:]
		if len(rest) < recordHead {
			break
		}
		n := int(binary.LittleEndian.Uint32(rest))
		size := recordHead + 32*n
		if n == 0 || n > poc.MaxLoops || len(rest) < size+recordSum || !bytes.Equal(rest[size:size+recordSum], s.sum(len(s.digests), rest[:size])) {
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

// receipt keeps a receipt, and of all the latest keepReceipts. It returns the
// file's name.
func (s *store) receipt(r poc.Receipt) (string, error) {
	text, err := r.Marshal()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(s.home, "receipts")
	path := filepath.Join(dir, fmt.Sprintf("%015d-%s.json", r.Committed, r.Terms.ChallengeID.String()[2:]))
	if err := durable.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("mpoc: receipt: %w", err)
	}
	list, err := os.ReadDir(dir) // sorted by name, which begins with the time
	list = slices.DeleteFunc(list, func(e fs.DirEntry) bool { return durable.Unfinished(e.Name()) })
	for i := 0; err == nil && i < len(list)-keepReceipts; i++ {
		err = os.Remove(filepath.Join(dir, list[i].Name()))
	}
	if err != nil {
		return "", fmt.Errorf("mpoc: receipts: %w", err)
	}
	return path, nil
}

// kept returns the receipt of a challenge that is here already, nil if none is.
func (s *store) kept(id poc.Hash) (*poc.Receipt, error) {
	dir := filepath.Join(s.home, "receipts")
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("mpoc: receipts: %w", err)
	}
	at := slices.IndexFunc(list, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), "-"+id.String()[2:]+".json") })
	if at < 0 {
		return nil, nil
	}
	path := filepath.Join(dir, list[at].Name())
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("mpoc: receipt: %w", err)
	}
	r, err := poc.ParseReceipt(text)
	if err != nil { // damaged: a new one takes its place
		return nil, os.Remove(path)
	}
	return &r, nil
}

// evidence keeps a file about what the host did to a challenge.
func (s *store) evidence(id poc.Hash, what string, text []byte) (string, error) {
	path := filepath.Join(s.home, "evidence", id.String()[2:18]+"-"+what+".json")
	if err := durable.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("mpoc: evidence: %w", err)
	}
	return path, nil
}
