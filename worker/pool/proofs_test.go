// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/marker"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/signed"
)

// judged is a receipt of a host, with pay if it is due; committed is the host's clock.
func judged(host, n byte, pay string, committed uint64) mpoc.Receipt {
	key, device := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{host}, 32)),
		ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	t := mpoc.Offer(mpoc.Terms{
		Chain: "assay-test", HostKey: signed.KeyOf(key), DeviceKey: signed.KeyOf(device),
		Shape:      mpoc.Shape(mpoc.Shapes()[0]),
		DurationMS: 1000, Issued: 1_800_000_000_000, Expiry: 1_800_000_060_000, Picks: 90,
		Light: 3, MaxLoops: 1000,
		PayPerTebiop: "1", BanAfter: 1, Forfeits: "locked",
	}, seed.Seed{host, n}, seed.Seed{3})
	r := mpoc.Receipt{Version: mpoc.ReceiptVersion, Terms: t, TermsSignature: t.Sign(key),
		Commit: mpoc.Commit{Loops: 1}, Outcome: mpoc.Outcome{Status: mpoc.Accepted,
			Pay: mpoc.Amount(pay), Detection: "0"}, Committed: committed}
	r.CommitSignature = r.Log().Sign(device)
	r.Sign(key)
	return r
}

func paid(host, n byte, amount string) mpoc.Transfer {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{host}, 32))
	t := mpoc.Transfer{
		Version: mpoc.TransferVersion, Chain: "assay-test", HostKey: signed.KeyOf(key),
		Payout: "cpc1test", Amount: mpoc.Amount(amount),
		TxHash: strings.ToUpper(strings.Repeat(fmt.Sprintf("%02x", n), 32)), Time: 1,
	}
	t.Sign(key)
	return t
}

func proofsOf(t *testing.T, home string) *proofs {
	t.Helper()
	s, err := openStore(home, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	if s.current == nil {
		if err := s.begin(offer(1), Counts{}); err != nil {
			t.Fatal(err)
		}
	}
	return s.proofs
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != marker.Name {
			list = append(list, e.Name())
		}
	}
	return list
}

// has reports whether a receipt is there and not paid.
func (p *proofs) has(r mpoc.Receipt) bool {
	got, err := p.kept(r.Terms.ChallengeID)
	return err == nil && got != nil && !strings.HasSuffix(p.names[r.Terms.ChallengeID], paidSuffix)
}

// paidOnes counts the files of receipts that were paid.
func paidOnes(t *testing.T, home string) (n int) {
	t.Helper()
	for _, name := range names(t, filepath.Join(home, receiptsDir)) {
		if strings.HasSuffix(name, paidSuffix) {
			n++
		}
	}
	return n
}

// Whatever a host's clock says and however many receipts without pay it gives, and whatever another
// host gives, a receipt with pay stays until a transfer covers it.
// Holds spec H-17.
func TestAHostCannotCrowdOutProofs(t *testing.T) {
	home := t.TempDir()
	p := proofsOf(t, home)
	first := judged(1, 0, "5", 1_800_000_000_000)
	keep := func(r mpoc.Receipt) {
		t.Helper()
		if _, err := p.receipt(r); err != nil {
			t.Fatal(err)
		}
	}
	keep(first)
	d := p.of(hostName(first.Terms.HostKey))
	for n := range keepUnpaid { // as if they had come, dated 2096
		d.unpaid = append(d.unpaid, proof{number: uint64(n) + 2, pay: new(big.Int),
			name: fmt.Sprintf("none-%d", n), bytes: 1})
	}
	p.next += keepUnpaid
	for n := range byte(5) {
		keep(judged(1, n+1, "0", 4_000_000_000_000))
		keep(judged(2, n+1, "7", 4_000_000_000_000))
	}
	if !p.has(first) || len(d.unpaid) != keepUnpaid || !p.has(judged(1, 5, "0", 0)) {
		t.Fatalf("the first receipt is there: %v; without pay: %d", p.has(first), len(d.unpaid))
	}
	if again := proofsOf(t, home); !again.has(first) || again.next != p.next {
		t.Errorf("after a restart it is there: %v; next %d, want %d", again.has(first),
			again.next, p.next)
	}
}

// The oldest receipts go, as far as what was transferred covers them whole and what stays covers
// what the host says it owes. Other hosts' stay, and a transfer counts once, also after a restart.
// Holds spec H-17.
func TestTransfersLetReceiptsGo(t *testing.T) {
	home := t.TempDir()
	p := proofsOf(t, home)
	var list []mpoc.Receipt
	for n := range byte(6) {
		r := judged(1, n, "10", uint64(100-n)) // the host's clock runs backwards
		list = append(list, r)
		if _, err := p.receipt(r); err != nil {
			t.Fatal(err)
		}
	}
	other := judged(2, 0, "1", 0)
	if _, err := p.receipt(other); err != nil {
		t.Fatal(err)
	}
	check := func(what string, gone int) {
		t.Helper()
		for i, r := range list {
			if p.has(r) != (i >= gone) {
				t.Errorf("%s: receipt %d is there: %v, want the first %d gone",
					what, i, p.has(r), gone)
			}
		}
		if !p.has(other) {
			t.Errorf("%s: another host's is gone", what)
		}
	}
	pay := func(n byte, amount string, owes int64) {
		t.Helper()
		if _, err := p.transfer(paid(1, n, amount), big.NewInt(owes)); err != nil {
			t.Fatal(err)
		}
	}
	pay(1, "9", 0)
	check("not enough", 0)
	pay(2, "12", 0)
	check("21 for two of 10", 2)
	if !p.counted(paid(1, 2, "12")) || p.counted(paid(1, 3, "9")) {
		t.Error("which transfers were counted is not known")
	}
	pay(3, "9", 40)
	check("the host owes what is left", 2)
	p = proofsOf(t, home)
	check("after a restart", 2)
	if !p.counted(paid(1, 1, "9")) {
		t.Error("a transfer counts again after a restart")
	}
	pay(4, "0", 20)
	check("the credit was kept", 3)
	pay(5, "1000", 0)
	check("all", 6)
	if list := names(t, filepath.Join(home, transfersDir)); len(list) != 5 {
		t.Errorf("transfers on disk: %q", list)
	}
	if n := paidOnes(t, home); n != 6 {
		t.Errorf("%d receipts that were paid are kept, of 6", n)
	}
}

// Of receipts that were paid the latest are kept, as many as there is room for, also when more are
// paid at once, and after a restart.
func TestTheLatestPaidReceiptsAreKept(t *testing.T) {
	home := t.TempDir()
	p := proofsOf(t, home)
	p.mostPaid = 3
	var list []mpoc.Receipt
	for _, turn := range []struct {
		receipts byte
		amount   string
		kept     []byte // by number
	}{{2, "20", []byte{0, 1}}, {2, "20", []byte{1, 2, 3}}, {5, "50", []byte{6, 7, 8}},
		{1, "5", []byte{6, 7, 8}}} {
		for range turn.receipts {
			r := judged(1, byte(len(list)), "10", 1)
			list = append(list, r)
			if _, err := p.receipt(r); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.transfer(paid(1, byte(len(list)), turn.amount), new(big.Int)); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*proofs{p, proofsOf(t, home)} {
			var kept []byte
			for _, f := range p.of(hostName(list[0].Terms.HostKey)).paid {
				r, err := p.kept(func() signed.Hash {
					_, _, id, _ := readName(f.name)
					return id
				}())
				if err != nil || r == nil {
					t.Fatalf("%s: %v, %v", f.name, r, err)
				}
				kept = append(kept, byte(slices.IndexFunc(list, func(one mpoc.Receipt) bool {
					return one.Terms.ChallengeID == r.Terms.ChallengeID
				})))
			}
			if !slices.Equal(kept, turn.kept) {
				t.Errorf("after %d receipts these are kept: %d, want %d",
					len(list), kept, turn.kept)
			}
		}
	}
	// One that its host sends again is not owed again.
	before := p.summary(list[0].Terms.HostKey)
	if _, err := p.receipt(list[8]); err != nil {
		t.Fatal(err)
	}
	if after := p.summary(list[0].Terms.HostKey); after.Receipts != before.Receipts ||
		before.Receipts != 1 {
		t.Errorf("%d owed, then %d", before.Receipts, after.Receipts)
	}
}

// A crash between the account and the files forgets nothing that is owed, and lets go what was
// paid.
func TestACrashWhilePaid(t *testing.T) {
	home := t.TempDir()
	p := proofsOf(t, home)
	a, b := judged(1, 1, "10", 1), judged(1, 2, "10", 2)
	path, err := p.receipt(a)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.receipt(b); err != nil {
		t.Fatal(err)
	}
	if _, err := p.transfer(paid(1, 1, "10"), new(big.Int)); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, text, 0o600); err != nil { // the removal is lost
		t.Fatal(err)
	}
	p = proofsOf(t, home)
	if p.has(a) || !p.has(b) || p.summary(a.Terms.HostKey).Receipts != 1 {
		t.Errorf("paid is there: %v, owed is there: %v", p.has(a), p.has(b))
	}
	// With all receipts gone, the next one still gets a number above those that were paid.
	if _, err := p.transfer(paid(1, 2, "10"), new(big.Int)); err != nil {
		t.Fatal(err)
	}
	p = proofsOf(t, home)
	c := judged(1, 3, "10", 3)
	if _, err := p.receipt(c); err != nil {
		t.Fatal(err)
	}
	if p = proofsOf(t, home); !p.has(c) {
		t.Error("a receipt is taken for a paid one")
	}
}

// At the bound no more is computed for that host, and its owner is told; other hosts are served.
func TestAHostThatDoesNotPay(t *testing.T) {
	home := t.TempDir()
	p := proofsOf(t, home)
	p.most = 3
	for n := range byte(3) {
		if err := p.full(judged(1, 0, "1", 0).Terms.HostKey); err != nil {
			t.Fatal(err)
		}
		if _, err := p.receipt(judged(1, n, "1000000000000000000", 0)); err != nil {
			t.Fatal(err)
		}
	}
	host, other := judged(1, 0, "1", 0).Terms.HostKey, judged(2, 0, "1", 0).Terms.HostKey
	err := p.full(host)
	if !errors.Is(err, ErrOwed) || !strings.Contains(err.Error(), "3 receipts over 3.000000 CPC") ||
		!strings.Contains(next(err), "--payout") {
		t.Errorf("%v; next: %s", err, next(err))
	}
	if err := p.full(other); err != nil {
		t.Error(err)
	}
	if !p.summary(host).Filling() ||
		!strings.Contains(p.summary(host).Text(), "has not paid 3 receipts") {
		t.Errorf("%+v", p.summary(host))
	}
	// Its owner moves one elsewhere.
	if err := os.Rename(filepath.Join(home, receiptsDir,
		names(t, filepath.Join(home, receiptsDir))[0]),
		filepath.Join(t.TempDir(), "kept")); err != nil {
		t.Fatal(err)
	}
	if err := p.full(host); err != nil {
		t.Error(err)
	}
}

// Receipts that were named by the host's clock are numbered in the order in which they were
// written.
func TestReceiptsOfOldNames(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, receiptsDir)
	proofsOf(t, home) // which makes the folders
	if err := os.Remove(filepath.Join(home, "mpoc", "paid.json")); err != nil {
		t.Fatal(err)
	}
	var list []mpoc.Receipt
	for n := range byte(3) {
		r := judged(1, n, "10", uint64(4_000_000_000_000-int(n)))
		text, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir,
			fmt.Sprintf("%015d-%s.json", r.Committed, r.Terms.ChallengeID.String()[2:]))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1_800_000_000+int64(n), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	p := proofsOf(t, home)
	for i, name := range names(t, dir) {
		f, _, id, ok := readName(name)
		if !ok || f.number != uint64(i)+1 || f.pay.Int64() != 10 || f.paid ||
			id != list[i].Terms.ChallengeID {
			t.Errorf("file %d is %s", i, name)
		}
	}
	if _, err := p.transfer(paid(1, 1, "10"), new(big.Int)); err != nil || p.has(list[0]) ||
		!p.has(list[1]) {
		t.Errorf("%v", err)
	}
}

// A damaged account of what was paid decides nothing.
func TestDamagedPaid(t *testing.T) {
	home := t.TempDir()
	p := proofsOf(t, home)
	r := judged(1, 1, "10", 1)
	if _, err := p.receipt(r); err != nil {
		t.Fatal(err)
	}
	if _, err := p.transfer(paid(1, 1, "3"), new(big.Int)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.paidPath())
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(text)-1; at += 3 {
		bad := bytes.Clone(text)
		bad[at] ^= 1
		if err := os.WriteFile(p.paidPath(), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openStore(home, false); !errors.Is(err, ErrLost) ||
			!strings.Contains(err.Error(), "paid.json") ||
			!strings.Contains(err.Error(), "--accept-loss") {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}
