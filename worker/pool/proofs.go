// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/marker"
	"github.com/assaynet/assay/internal/sealed"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// A receipt with pay is a proof of debt. It is the machine's until the debt is paid: only a
// transfer that the host signed, and that the chain has where a node can be asked, lets the oldest
// ones go. So the host has no say in what is forgotten: receipts are numbered by the machine in the
// order in which it got them, and each host has room of its own. The latest that were paid stay
// too: to a ledger that was put back from before a payment, they say what the payment was for.
const (
	// MaxOwed and MaxOwedBytes bound the receipts with pay of one host. Some 2.2 KB each, one or
	// two a minute: about two months of a host that never pays. At the bound nothing more is
	// computed for it.
	MaxOwed      = 100_000
	MaxOwedBytes = 512 << 20
	// keepPaid is how many receipts that were paid are kept of one host, the latest: a week of one
	// a minute, which is how old a backup of the host's may be.
	keepPaid = 10_000
	// keepUnpaid is how many receipts without pay are kept of one host, the latest.
	keepUnpaid = 1000
	// MaxTransfers bounds the transfers of one host, 600 bytes each: one an hour for five years.
	MaxTransfers = 50_000
	// keepNamed is how many transfers are remembered by hash when their files are gone. A host
	// names ten at a time.
	keepNamed = 64

	paidVersion  = "assay-worker-paid/1"
	paidSuffix   = "-paid.json" // of a receipt's name
	receiptsDir  = "receipts"
	transfersDir = "transfers"
)

// ErrOwed says that no more is computed for a host, which has not paid for what there was.
var ErrOwed = errors.New("pool: the host has not paid")

// proofs are what a device has in hand against its hosts. They belong to Run.
type proofs struct {
	home  string
	read  reader
	id    string
	next  uint64 // number of the next receipt or transfer
	hosts map[string]*debtor
	names map[signed.Hash]string // of receipts, by challenge
	// most, mostBytes, mostTransfers and mostPaid are the bounds.
	most, mostBytes, mostTransfers, mostPaid int
	// damaged is told of a receipt's file that is not what was kept. Optional.
	damaged func(path string, err error)
}

// reader reads a sealed file that may be missing (store.read).
type reader func(path, version, what string, v any) (found bool, err error)

// debtor is one host.
type debtor struct {
	owed    []proof // with pay, the oldest first
	sum     big.Int // of their pay
	bytes   int
	paid    []proof // that were owed, the oldest first
	unpaid  []proof // without pay, the oldest first
	signed  int     // transfers on disk
	account account
}

// paidFile is mpoc/paid.json.
type paidFile struct {
	ID    string             `json:"id"` // of the store: all its folders are marked with it
	Hosts map[string]account `json:"hosts"`
}

// account is what is written about a host, beside the files.
type account struct {
	// Through is the number of the latest receipt that was paid: all up to it are.
	Through uint64 `json:"through"`
	// Credit was paid and is less than the next receipt's pay, in acpc.
	Credit string `json:"credit"`
	// Named are the hashes of the latest transfers that were counted.
	Named []string `json:"named"`
}

// proof is one receipt's file.
type proof struct {
	number uint64
	pay    *big.Int
	name   string
	bytes  int
	paid   bool
}

// openProofs reads the names in the folders. Receipts that an earlier program named by the host's
// clock get numbers in the order in which they were written.
func openProofs(home string, read reader) (*proofs, error) {
	p := &proofs{home: home, read: read, next: 1, hosts: map[string]*debtor{},
		names: map[signed.Hash]string{},
		most:  MaxOwed, mostBytes: MaxOwedBytes, mostTransfers: MaxTransfers, mostPaid: keepPaid}
	if err := p.openPaid(); err != nil {
		return nil, err
	}
	for _, step := range []func() error{p.openReceipts, p.openTransfers, p.renumber} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("pool: receipts: %w", err)
		}
	}
	for _, d := range p.hosts { // a crash came between the account and the files
		if err := p.settle(d, d.account.Through); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *proofs) paidPath() string { return filepath.Join(p.home, "mpoc", "paid.json") }

func (p *proofs) openPaid() error {
	var file paidFile
	found, err := p.read(p.paidPath(), paidVersion, "which transfers were counted: those that "+
		"hosts name again would count again", &file)
	if err != nil {
		return err
	}
	if p.id = file.ID; !found {
		p.id = marker.New()
		if err := p.brand(); err != nil {
			return err
		}
		return p.savePaid()
	}
	for host, a := range file.Hosts {
		p.of(host).account = a
		p.next = max(p.next, a.Through+1)
	}
	return nil
}

// brand gives the folders the store's id.
func (p *proofs) brand() error {
	for _, dir := range folders {
		if err := marker.Set(filepath.Join(p.home, dir), p.id); err != nil {
			return fmt.Errorf("pool: home: %w", err)
		}
	}
	return nil
}

func (p *proofs) savePaid() error {
	file := paidFile{p.id, make(map[string]account, len(p.hosts))}
	for host, d := range p.hosts {
		file.Hosts[host] = d.account
	}
	text, err := sealed.Marshal(paidVersion, file)
	if err == nil {
		err = durable.WriteFile(p.paidPath(), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("pool: paid: %w", err)
	}
	return nil
}

// of is a host by the first half of its key, as it is in the names of files.
func (p *proofs) of(host string) *debtor {
	d := p.hosts[host]
	if d == nil {
		d = new(debtor)
		p.hosts[host] = d
	}
	return d
}

func hostName(k signed.Key) string { return k.String()[2:34] }

// receiptName is number, host, pay in acpc and challenge; one that was paid ends in paidSuffix.
func receiptName(number uint64, r mpoc.Receipt) string {
	return fmt.Sprintf("%012d-%s-%s-%s.json", number, hostName(r.Terms.HostKey),
		r.Outcome.Pay.Big(), r.Terms.ChallengeID.String()[2:])
}

// readName is receiptName's other way; ok is false for other files.
func readName(name string) (f proof, host string, id signed.Hash, ok bool) {
	stem, paid := strings.CutSuffix(name, paidSuffix)
	parts := strings.Split(strings.TrimSuffix(stem, ".json"), "-")
	if len(parts) != 4 || !strings.HasSuffix(name, ".json") || len(parts[1]) != 32 {
		return f, "", id, false
	}
	number, err := strconv.ParseUint(parts[0], 10, 64)
	pay, isNumber := new(big.Int).SetString(parts[2], 10)
	if err != nil || !isNumber || pay.Sign() < 0 || id.UnmarshalText([]byte("0x"+parts[3])) != nil {
		return f, "", id, false
	}
	return proof{number: number, pay: pay, name: name, paid: paid}, parts[1], id, true
}

func (p *proofs) openReceipts() error {
	list, err := os.ReadDir(filepath.Join(p.home, receiptsDir)) // sorted, so by number
	if err != nil {
		return err
	}
	for _, e := range list {
		f, host, id, ok := readName(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		f.bytes = int(info.Size())
		p.note(host, id, f)
	}
	return nil
}

// note takes a receipt's file into the books.
func (p *proofs) note(host string, id signed.Hash, f proof) {
	d := p.of(host)
	p.names[id] = f.name
	p.next = max(p.next, f.number+1)
	switch {
	case f.pay.Sign() == 0:
		d.unpaid = append(d.unpaid, f)
		return
	case f.paid:
		d.paid = append(d.paid, f)
		return
	}
	d.owed = append(d.owed, f)
	d.sum.Add(&d.sum, f.pay)
	d.bytes += f.bytes
}

func (p *proofs) openTransfers() error {
	dir := filepath.Join(p.home, transfersDir)
	list, err := os.ReadDir(dir)
	for _, e := range list {
		if host, rest, ok := strings.Cut(e.Name(), "-"); ok && len(host) == 32 &&
			len(rest) == len("0123456789abcdef.json") {
			p.of(host).signed++
		}
	}
	return err
}

// renumber gives numbers to receipts named in the old way: the host's clock, and the challenge.
func (p *proofs) renumber() error {
	dir := filepath.Join(p.home, receiptsDir)
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type aged struct {
		name string
		at   time.Time
	}
	var old []aged
	for _, e := range list {
		if parts := strings.Split(e.Name(), "-"); len(parts) != 2 || len(parts[0]) != 15 ||
			!e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		old = append(old, aged{e.Name(), info.ModTime()})
	}
	slices.SortStableFunc(old, func(a, b aged) int { return a.at.Compare(b.at) })
	for _, f := range old {
		text, err := os.ReadFile(filepath.Join(dir, f.name))
		if err != nil {
			return err
		}
		r, err := mpoc.ParseReceipt(text)
		if err != nil {
			continue // damaged; it stays for its owner to see
		}
		name := receiptName(p.next, r)
		if err := durable.Rename(filepath.Join(dir, f.name), filepath.Join(dir, name)); err != nil {
			return err
		}
		p.note(hostName(r.Terms.HostKey), r.Terms.ChallengeID,
			proof{number: p.next, pay: r.Outcome.Pay.Big(), name: name, bytes: len(text)})
	}
	return nil
}

// receipt keeps a receipt, and returns its file's name. The same challenge's takes its place.
func (p *proofs) receipt(r mpoc.Receipt) (string, error) {
	text, err := r.Marshal()
	if err != nil {
		return "", err
	}
	id, dir := r.Terms.ChallengeID, filepath.Join(p.home, receiptsDir)
	if name, found := p.names[id]; found { // signed back, or damaged before
		path := filepath.Join(dir, name)
		if err := durable.WriteFile(path, text, 0o600); err != nil {
			return "", fmt.Errorf("pool: receipt: %w", err)
		}
		return path, nil
	}
	name := receiptName(p.next, r)
	if err := durable.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		return "", fmt.Errorf("pool: receipt: %w", err)
	}
	host := hostName(r.Terms.HostKey)
	p.note(host, id, proof{number: p.next, pay: r.Outcome.Pay.Big(), name: name, bytes: len(text)})
	d := p.of(host)
	for len(d.unpaid) > keepUnpaid {
		if err := p.remove(d.unpaid[0]); err != nil {
			return "", err
		}
		d.unpaid = d.unpaid[1:]
	}
	return filepath.Join(dir, name), nil
}

func (p *proofs) remove(f proof) error {
	if err := os.Remove(filepath.Join(p.home, receiptsDir, f.name)); err != nil &&
		!errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pool: receipts: %w", err)
	}
	if _, _, id, ok := readName(f.name); ok {
		delete(p.names, id)
	}
	return nil
}

// kept returns the receipt of a challenge that is here already, nil if none is. One that its host
// did not sign as it stands is none: a bit that has flipped is no other word of the host's.
func (p *proofs) kept(id signed.Hash) (*mpoc.Receipt, error) {
	name, found := p.names[id]
	if !found {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(p.home, receiptsDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // its owner moved it
	}
	if err != nil {
		return nil, fmt.Errorf("pool: receipt: %w", err)
	}
	r, err := mpoc.ParseReceipt(text)
	if err == nil {
		err = r.Authentic()
	}
	if err == nil && r.Terms.ChallengeID != id {
		err = fmt.Errorf("it is of challenge %s", r.Terms.ChallengeID)
	}
	if err != nil { // a new one takes its place
		if p.damaged != nil {
			p.damaged(filepath.Join(p.home, receiptsDir, name), err)
		}
		return nil, nil
	}
	return &r, nil
}

// counted reports whether a transfer has been.
func (p *proofs) counted(t mpoc.Transfer) bool {
	return slices.Contains(p.of(hostName(t.HostKey)).account.Named, t.TxHash)
}

// transfer keeps a host's signed transfer, which is not counted yet, and marks the oldest receipts
// that it covers. What stays covers all that the host says it still owes: a transfer can also pay
// for leaves, of which there are no receipts with pay. The file is written first, then the account,
// then the receipts are marked; a crash in between loses none.
func (p *proofs) transfer(t mpoc.Transfer, owes *big.Int) (paid int, err error) {
	text, err := t.Marshal()
	if err != nil {
		return 0, err
	}
	host := hostName(t.HostKey)
	d := p.of(host)
	if d.signed >= p.mostTransfers {
		return 0, fmt.Errorf("%w: %d transfers are kept in %s, which is all there is room for; "+
			"move the older ones elsewhere", ErrOwed, d.signed, filepath.Join(p.home, transfersDir))
	}
	path := filepath.Join(p.home, transfersDir, host+"-"+strings.ToLower(t.TxHash[:16])+".json")
	switch _, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		d.signed++
	case err != nil:
		return 0, fmt.Errorf("pool: transfer: %w", err)
	}
	if err := durable.WriteFile(path, text, 0o600); err != nil {
		return 0, fmt.Errorf("pool: transfer: %w", err)
	}
	credit, _ := new(big.Int).SetString(cmp.Or(d.account.Credit, "0"), 10)
	if credit == nil {
		credit = new(big.Int)
	}
	credit.Add(credit, t.Amount.Big())
	left := new(big.Int).Set(&d.sum)
	for _, f := range d.owed {
		after := new(big.Int).Sub(left, f.pay)
		if f.pay.Cmp(credit) > 0 || after.Cmp(owes) < 0 {
			break
		}
		credit.Sub(credit, f.pay)
		left, d.account.Through = after, f.number
		paid++
	}
	d.account.Credit = credit.String()
	d.account.Named = append(d.account.Named, t.TxHash)
	d.account.Named = d.account.Named[max(0, len(d.account.Named)-keepNamed):]
	if err := p.savePaid(); err != nil {
		return 0, err
	}
	return paid, p.settle(d, d.account.Through)
}

// settle marks a host's receipts up to a number as paid, and removes the oldest of too many such.
func (p *proofs) settle(d *debtor, through uint64) error {
	n := 0
	for n < len(d.owed) && d.owed[n].number <= through {
		n++
	}
	extra := len(d.paid) + n - p.mostPaid
	for ; extra > 0 && len(d.paid) > 0; extra-- {
		if err := p.remove(d.paid[0]); err != nil {
			return err
		}
		d.paid = d.paid[1:]
	}
	for range n {
		f, err := d.owed[0], error(nil)
		if extra > 0 {
			extra--
			err = p.remove(f)
		} else if f, err = p.mark(f); err == nil {
			d.paid = append(d.paid, f)
		}
		if err != nil {
			return err
		}
		d.owed = d.owed[1:]
		d.sum.Sub(&d.sum, f.pay)
		d.bytes -= f.bytes
	}
	return nil
}

// mark gives a receipt's file the name of one that was paid.
func (p *proofs) mark(f proof) (proof, error) {
	from := filepath.Join(p.home, receiptsDir, f.name)
	f.name, f.paid = strings.TrimSuffix(f.name, ".json")+paidSuffix, true
	err := durable.Rename(from, filepath.Join(p.home, receiptsDir, f.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // else its owner moved it
		return f, fmt.Errorf("pool: receipts: %w", err)
	}
	_, _, id, _ := readName(f.name)
	p.names[id] = f.name
	return f, nil
}

// full is an error that wraps ErrOwed where there is no room for more receipts of a host. The
// folders are read again first: their owner may have moved files elsewhere.
func (p *proofs) full(host signed.Key) error {
	room := func() bool {
		d := p.of(hostName(host))
		return len(d.owed) < p.most && d.bytes < p.mostBytes && d.signed < p.mostTransfers
	}
	if room() {
		return nil
	}
	again, err := openProofs(p.home, p.read)
	if err != nil {
		return err
	}
	p.hosts, p.names, p.next = again.hosts, again.names, max(p.next, again.next)
	if room() {
		return nil
	}
	d := p.of(hostName(host))
	return fmt.Errorf("%w: %d receipts over %s are kept in %s and no payment covers them; "+
		"nothing more is computed for this host",
		ErrOwed, len(d.owed), Coins(&d.sum), filepath.Join(p.home, receiptsDir))
}

// Proofs is what a device has in hand against the host it works for.
type Proofs struct {
	// Receipts with pay that no transfer covers yet, their pay in acpc, and their size.
	Receipts int         `json:"receipts"`
	Pay      mpoc.Amount `json:"pay"`
	Bytes    int         `json:"bytes"`
	// Most is how many receipts there may be, and MostBytes of what size.
	Most      int `json:"most"`
	MostBytes int `json:"most_bytes"`
	// Transfers that the host signed.
	Transfers int `json:"transfers"`
	// Trouble is why the latest transfer that does not count does not.
	Trouble string `json:"trouble,omitempty"`
}

// Text says what an owner has to know; empty is nothing.
func (p *Proofs) Text() string {
	switch {
	case p == nil:
		return ""
	case p.Filling():
		text := fmt.Sprintf("the host has not paid %d receipts over %s; at %d receipts or %d MiB "+
			"nothing more is computed for it", p.Receipts, Coins(p.Pay.Big()),
			p.Most, p.MostBytes>>20)
		if p.Trouble != "" {
			text += "; " + p.Trouble
		}
		return text
	}
	return p.Trouble
}

// Filling reports whether four fifths of the room are taken.
func (p Proofs) Filling() bool { return p.Receipts >= p.Most/5*4 || p.Bytes >= p.MostBytes/5*4 }

func (p *proofs) summary(host signed.Key) *Proofs {
	d := p.of(hostName(host))
	return &Proofs{len(d.owed), mpoc.Amount(d.sum.String()), d.bytes, p.most,
		p.mostBytes, d.signed, ""}
}
