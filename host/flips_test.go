// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/host/sprint"
	"github.com/assaynet/assay/host/voter"
	"github.com/assaynet/assay/host/voter/votertest"
	"github.com/assaynet/assay/internal/flips"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/work/transformer"
)

// keyName is where a host's key is, by host/cli, which imports this package.
const keyName = "config/host.key"

// convicted leaves what a host writes beside its stores: settings, key, a verdict, and two files on
// logs that it left out: one with evidence, and one without, because that machine's signature does
// not hold.
func convicted(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	h, closeAll := poolHost(t, home)
	if _, err := link.LoadKey(filepath.Join(home, keyName)); err != nil {
		t.Fatal(err)
	}
	for i, folder := range []voter.Folder{verdicts(h.o.Home), streamVerdicts(h.o.Home)} {
		if err := folder.Save(&voter.Verdict{Epoch: 1, Salt: make([]byte, 32),
			Body: []byte{1, 2 + byte(i)}, Middles: make([]byte, 16)}); err != nil {
			t.Fatal(err)
		}
	}
	now := votertest.SegmentOver()
	goal, model := sprint.Computing(now.Epoch, transformer.Nano, now.Epoch.Segments[0]),
		reference(t)
	machine := func(n byte) ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32))
	}
	h.config.Workers = map[string]string{}
	for node, signer := range map[string]byte{"w1": 1, "w2": 9} {
		h.config.Workers[node] = hex.EncodeToString(
			machine(node[1] - '0').Public().(ed25519.PublicKey))
		h.forge(t, model, goal, node, machine(signer), 20)
	}
	h.owns(h.config.Workers)
	g := new(errgroup.Group)
	for range 2 {
		if err := h.duties.Commits.Commit(t.Context(), g, now, transformer.Nano,
			[]string{"w1", "w2"}, 1<<32); err != nil {
			t.Fatal(err)
		}
		_ = g.Wait()
	}
	if err := h.config.Save(home); err != nil {
		t.Fatal(err)
	}
	closeAll()
	if err := checkMarks(home); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(home)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	// they have tests of their own
	for _, name := range []string{filepath.Join(leavesName, "1"), ledgerName, poolName} {
		if err := os.RemoveAll(filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// Whatever bit of a host's small files has flipped, and wherever one ends early: it goes by what it
// wrote, or names the file. So no machine is punished for what no audit found, and no verdict is
// revealed that was not committed to. A digit of host.toml that is another is what its owner might
// have written: that no program can see. The stores and the logs of leaves have tests of their own.
func TestFlipsInAHome(t *testing.T) {
	whole := convicted(t)
	// of the files on logs, those whose names hold a text: to check evidence is to compute
	read := func(home, named string, log *bytes.Buffer) (c Config, key ed25519.PrivateKey,
		v [2]*voter.Verdict, files []delivery.LeftOutFile, err error) {
		h := newHost(Config{}, Options{Home: home, Logger: slog.New(slog.NewTextHandler(log, nil))})
		h.pay = h.newPayroll()
		h.duties = h.newDuties()
		unlock, err := lock(home) // what stands in its file is for people
		if err != nil {
			return
		}
		defer func() { err = errors.Join(err, unlock()) }()
		if err = checkMarks(home); err != nil {
			return
		}
		s, err := leaflog.Open(filepath.Join(home, leavesName))
		if err != nil {
			return
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		if key, err = link.LoadKey(filepath.Join(home, keyName)); err != nil {
			return
		}
		if c, err = Load(home); err != nil {
			return
		}
		for i, folder := range []voter.Folder{verdicts(home), streamVerdicts(home)} {
			if v[i], err = folder.Load(1); err != nil {
				return
			}
		}
		for _, node := range []string{"w1", "w2"} {
			log := leaflog.Key{Epoch: 1, Node: node, Segment: 1}
			if !strings.Contains(sprint.LeftOutName(log), named) {
				continue
			}
			f, found := h.duties.Audits.OnFile(context.Background(), log)
			if !found {
				f = delivery.LeftOutFile{}
			}
			files = append(files, f)
		}
		return
	}
	var log bytes.Buffer
	_, wantKey, wantVerdict, wantFiles, err := read(whole, "", &log)
	if err != nil || wantVerdict[0] == nil || wantVerdict[1] == nil ||
		wantFiles[0].Evidence == nil ||
		wantFiles[1].SHA256 == "" || log.Len() > 0 {
		t.Fatalf("%+v, %+v, %v, %s", wantVerdict, wantFiles, err, log.String())
	}
	flips.Each(t, whole, 2000, 200, nil, func(home string, d flips.Damage) (flips.Outcome, error) {
		log.Reset()
		_, key, v, files, err := read(home, filepath.Base(d.Path), &log)
		switch {
		case err != nil && d.Explains(err, "restore it", "put back", "host.toml",
			"mount", "write them"):
			return flips.Refused, nil
		case err != nil:
			return flips.Refused, err
		case !key.Equal(wantKey):
			return flips.Unchanged, errors.New("another key is taken silently")
		}
		if diff := cmp.Diff(wantVerdict, v); diff != "" {
			return flips.Unchanged, fmt.Errorf("another verdict is taken silently:\n%s", diff)
		}
		outcome := flips.Unchanged
		for _, f := range files {
			want := wantFiles[0]
			if f.Node == wantFiles[1].Node {
				want = wantFiles[1]
			}
			if f.Evidence != nil { // for people, and signed by nobody
				f.Evidence.Note = want.Evidence.Note
			}
			switch {
			case f.Version == "" && !strings.Contains(log.String(), filepath.Base(d.Path)):
				return outcome,
					fmt.Errorf("the log is audited again, and the file is not named: %s",
						log.String())
			case f.Version == "":
				outcome = flips.Mended
			case cmp.Diff(want, f) != "":
				return outcome, fmt.Errorf("taken silently:\n%s", cmp.Diff(want, f))
			}
		}
		return outcome, nil
	}).Covers(t, "host", Kept())
}
