// SPDX-License-Identifier: Apache-2.0

package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/device/telemetry"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
)

var (
	// ErrMissing is wrapped by a backend whose driver is not installed, which is no
	// fault on a machine without such devices.
	ErrMissing = errors.New("device: no driver")
	// ErrSelect reports a choice of devices that cannot be followed.
	ErrSelect = errors.New("device: no such choice")
	// ErrBroken reports that none of the devices that were chosen, or that the
	// machine has, computes correctly.
	ErrBroken = errors.New("device: no device to compute with")
	// ErrAbsent reports that a choice has no device yet, and may have one later: while
	// the system starts, a driver may be loaded after this program.
	ErrAbsent = errors.New("device: not there yet")
)

// absent is an error that wraps ErrAbsent as well, and has its own words.
type absent struct{ error }

func (a absent) Unwrap() error { return a.error }

func (absent) Is(target error) bool { return target == ErrAbsent }

// CPU is the id of the processor, which every machine has.
const CPU = "cpu"

// Backend is one kind of engines; see package profile for its functions.
type Backend struct {
	Name string // the first part of its devices' ids
	// Vendors are the makers of cards that it is for; none for the processor's.
	Vendors []Vendor
	// Devices wraps ErrMissing in its error where there is no driver.
	Devices func() ([]profile.Device, error)
	// Open may return an engine together with an error: another one than the best,
	// and why.
	Open func(ctx context.Context, index int) (profile.Engine, error)
}

// Vendor is a maker of cards that a backend is for.
type Vendor struct {
	Name string // as in telemetry.Card
	// All tells that each of its cards can compute, so that one which no driver offers is a fault;
	// others may be too small.
	All  bool
	Hint string // what the owner of a card that no driver offers can do
}

// Serving is the backend for a maker's cards, the first of several.
func Serving(backends []Backend, vendor string) (b Backend, v Vendor, ok bool) {
	for _, b := range backends {
		for _, v := range b.Vendors {
			if v.Name == vendor {
				return b, v, true
			}
		}
	}
	return Backend{}, Vendor{}, false
}

// Names are what a choice may name, but for the numbers of devices.
func Names(backends []Backend) (names []string) {
	for _, b := range backends {
		if names = append(names, b.Name); b.Name != CPU {
			names = append(names, b.Name+":0")
		}
	}
	return names
}

// Processor is the backend of the processor. Where package cpu has no engine for
// it, the reference computes.
func Processor() Backend {
	return Backend{
		Name: CPU,
		Devices: func() ([]profile.Device, error) {
			if all, err := cpu.Devices(); err != nil || len(all) > 0 {
				return all, err
			}
			return []profile.Device{{Name: "processor", Driver: "none (plain Go)", Units: 1}}, nil
		},
		Open: func(ctx context.Context, index int) (profile.Engine, error) {
			if index != 0 {
				return nil, fmt.Errorf("%w: %s:%d; the processor is one device, %s",
					ErrSelect, CPU, index, CPU)
			}
			e, err := cpu.New(ctx)
			if known, ok := e.(profile.Engine); ok {
				return known, err
			}
			return Plain(e), err
		},
	}
}

// Plain is an engine of which nothing is known but its results.
func Plain(e work.Engine) profile.Engine { return plain{e} }

type plain struct{ work.Engine }

// errPlain is why.
var errPlain = errors.New("device: this engine does not tell")

func (plain) Parts(context.Context, seed.Seed, matmul.Shape, uint64) (profile.Parts, error) {
	return profile.Parts{}, errPlain
}

func (plain) Peak(context.Context) (profile.Peak, error) { return profile.Peak{}, errPlain }

// Device is one that was found.
type Device struct {
	ID             string // cpu, cuda:0, opencl:1
	profile.Device        // what its driver says
	// Same is the id of the device that is the same card under another backend,
	// and preferred; empty where there is none.
	Same string

	backend Backend
	index   int
}

// GPU tells everything from the processor.
func (d Device) GPU() bool { return d.backend.Name != CPU }

// String is the id and the vendor's name.
func (d Device) String() string { return d.ID + " (" + d.Name + ")" }

// Trouble is a backend that could not list its devices.
type Trouble struct {
	Backend string
	Err     error
}

// List asks all backends, in order: where two offer the same card, the earlier
// one is preferred.
func List(backends []Backend) (all []Device, troubles []Trouble) {
	for _, b := range backends {
		found, err := b.Devices()
		if err != nil {
			troubles = append(troubles, Trouble{b.Name, err})
		}
		taken := make(map[string]bool) // of earlier backends, by found
		for i, f := range found {
			f.Name, f.Driver, f.PCI = clean(f.Name), clean(f.Driver), clean(f.PCI)
			d := Device{ID: fmt.Sprintf("%s:%d", b.Name, i), Device: f, backend: b, index: i}
			if b.Name == CPU {
				d.ID = CPU
			}
			d.Same = same(all, d, taken)
			taken[d.Same] = true
			all = append(all, d)
		}
	}
	return all, troubles
}

// same finds the device of an earlier backend that is the same card as d. It
// goes by the place on the PCI bus; where one of them does not tell it, and both
// are of one maker, by name and order.
func same(earlier []Device, d Device, taken map[string]bool) string {
	for _, e := range earlier {
		if e.backend.Name == d.backend.Name || !e.GPU() || taken[e.ID] {
			continue
		}
		if e.PCI != "" && d.PCI != "" {
			if strings.EqualFold(e.PCI, d.PCI) {
				return e.ID
			}
			continue
		}
		for _, v := range slices.Concat(e.backend.Vendors, d.backend.Vendors) {
			if e.by(v) && d.by(v) &&
				strings.HasSuffix(e.Name, strings.TrimPrefix(d.Name, v.Name+" ")) {
				return e.ID
			}
		}
	}
	return ""
}

// by reports whether a maker's backend is for its cards alone, or the driver names the maker.
func (d Device) by(v Vendor) bool {
	return len(d.backend.Vendors) == 1 && d.backend.Vendors[0].Name == v.Name ||
		strings.Contains(strings.ToLower(d.Driver+" "+d.Name), strings.ToLower(v.Name))
}

// Opened is a device with its engine, which has given the known answers.
type Opened struct {
	Device
	Engine profile.Engine
	// Warning is why the engine is not the device's best, if it is not.
	Warning error
}

// Open opens a device and compares it with the known answers. Errors are the
// backend's, wrap work.ErrSelfTest, or are the context's.
func (d Device) Open(ctx context.Context) (Opened, error) {
	e, err := d.backend.Open(ctx, d.index)
	if e == nil {
		return Opened{}, fmt.Errorf("%v could not be opened: %w", d, cmp.Or(err, errPlain))
	}
	o := Opened{d, e, err}
	if err := work.SelfTest(ctx, e); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%v gives wrong answers or none, and is not used: %w", d, err)
		}
		return Opened{}, errors.Join(err, o.Close())
	}
	return o, nil
}

// Close frees what the engine holds of the device.
func (o Opened) Close() error {
	if c, ok := o.Engine.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Refused is a device that was to be used and is not.
type Refused struct {
	Device
	Err error
}

// Choice is what a machine computes with.
type Choice struct {
	Use []Opened
	// Out are devices that would have been used if they worked.
	Out []Refused
	// Notes are what the owner has to be told, a line each: nothing is chosen in
	// silence.
	Notes []string
}

// Close closes all that is in use.
func (c *Choice) Close() (err error) {
	for _, o := range c.Use {
		err = errors.Join(err, o.Close())
	}
	c.Use = nil
	return err
}

// instead ends errors of machines whose GPUs do not work.
const instead = "the processor does not take a GPU's place unasked: repair it, see doctor, or " +
	"choose with --device cpu"

// Choose opens what the owner wants: ids (cuda:1), backends (cuda), or all. With
// no wish it is every GPU that works, and the processor only on a machine that
// has no GPU. Of a card that two backends offer, one is used. Devices that fail
// are left out while others work; with none left it is an error that wraps
// ErrBroken and names each of them. Errors of devices that are not there, be they
// asked for or those of a card whose driver offers none, wrap ErrAbsent.
//
// cards are the graphics devices that the system sees. Without a wish the
// processor is not taken for one that can compute and that its driver does not offer
// (Vendor.All); others, which may be too small, are only noted.
func Choose(ctx context.Context, backends []Backend, wishes []string,
	cards []telemetry.Card) (Choice, error) {
	all, troubles := List(backends)
	var c Choice
	var broken []error
	if err := known(backends, wishes); err != nil {
		return c, err
	}
	chosen, err := pick(all, wishes)
	if err != nil {
		for _, t := range troubles { // which may be why
			if slices.ContainsFunc(wishes, func(w string) bool { return kind(w) == t.Backend }) {
				err = fmt.Errorf("%w; %s: %w", err, t.Backend, t.Err)
			}
		}
		return c, err
	}
	if len(wishes) == 0 {
		for _, t := range troubles {
			if !errors.Is(t.Err, ErrMissing) {
				broken = append(broken, fmt.Errorf("%s: %w", t.Backend, t.Err))
			}
		}
		for _, card := range Unserved(all, cards) {
			why := reason(backends, troubles, card)
			if _, v, _ := Serving(backends, card.Vendor); v.All {
				broken = append(broken, why)
			} else {
				c.Notes = append(c.Notes, why.Error())
			}
		}
		if len(chosen) == 0 && len(broken) == 0 {
			c.Notes = append(c.Notes, "there is no GPU to compute with; the processor computes")
			chosen = all[slices.IndexFunc(all, func(d Device) bool { return d.ID == CPU }):][:1]
		}
	}
	results := open(ctx, chosen)
	if err := ctx.Err(); err != nil {
		for _, r := range results {
			if r.err == nil {
				_ = r.Close()
			}
		}
		return Choice{}, err
	}
	for i, r := range results {
		if r.err != nil {
			c.Out = append(c.Out, Refused{chosen[i], r.err})
			broken = append(broken, r.err)
			continue
		}
		if r.Warning != nil {
			c.Notes = append(c.Notes, fmt.Sprintf("%v: %v", r.Device, r.Warning))
		} else if why := r.Slower(); why != "" {
			c.Notes = append(c.Notes,
				fmt.Sprintf("%v computes with %s: %s", r.Device, r.Engine.Name(), why))
		}
		c.Use = append(c.Use, r.Opened)
	}
	if len(c.Use) == 0 {
		next := instead
		if slices.ContainsFunc(chosen, func(d Device) bool { return !d.GPU() }) {
			next = "memory or the processor may be faulty"
		}
		err := fmt.Errorf("%w: %w; %s", ErrBroken, errors.Join(broken...), next)
		if len(chosen) == 0 {
			err = absent{err}
		}
		return c, err
	}
	for _, err := range broken {
		c.Notes = append(c.Notes, "NOT USED: "+err.Error())
	}
	return c, nil
}

// kind is the backend that a wish names: of cuda:1 it is cuda.
func kind(wish string) string {
	name, _, _ := strings.Cut(wish, ":")
	return name
}

// known refuses wishes that no machine can fulfil.
func known(backends []Backend, wishes []string) error {
	for _, w := range wishes {
		if w != "all" && !slices.ContainsFunc(backends,
			func(b Backend) bool { return b.Name == kind(w) }) {
			return fmt.Errorf("%w: --device %s; this program offers %s", ErrSelect, w,
				strings.Join(append([]string{"all"}, Names(backends)...), ", "))
		}
	}
	return nil
}

// errNoBackend reports a program that was built without a kind of engines.
var errNoBackend = errors.New("device: this program was built without engines for it")

// reason says why no backend offers a card.
func reason(backends []Backend, troubles []Trouble, card telemetry.Card) error {
	what := fmt.Sprintf("graphics by %s at %s", card.Vendor, card.PCI)
	b, _, ok := Serving(backends, card.Vendor)
	if !ok {
		return fmt.Errorf("%s is not used: %w", what, errNoBackend)
	}
	for _, t := range troubles {
		if t.Backend == b.Name {
			return fmt.Errorf("%s is not used: %w", what, t.Err)
		}
	}
	return fmt.Errorf("%s is not used: %s does not list it; its driver may be missing, or hide it",
		what, b.Name)
}

// Unserved are the cards that no device stands for. Where a driver does not tell
// places on the bus, its devices stand for all cards of their maker.
func Unserved(all []Device, cards []telemetry.Card) (unserved []telemetry.Card) {
	for _, card := range cards {
		if !slices.ContainsFunc(all, func(d Device) bool {
			if d.PCI != "" {
				return strings.EqualFold(d.PCI, card.PCI)
			}
			words := strings.ToLower(d.Name + " " + d.Driver)
			return d.GPU() && strings.Contains(words, strings.ToLower(card.Vendor))
		}) {
			unserved = append(unserved, card)
		}
	}
	return unserved
}

type opening struct {
	Opened
	err error
}

// open opens devices side by side: compiling their kernels can take seconds.
func open(ctx context.Context, chosen []Device) []opening {
	results := make([]opening, len(chosen))
	var running sync.WaitGroup
	for i, d := range chosen {
		running.Go(func() { results[i].Opened, results[i].err = d.Open(ctx) })
	}
	running.Wait()
	return results
}

// pick finds what is wanted, in the order of all.
func pick(all []Device, wishes []string) ([]Device, error) {
	wanted := make(map[string]bool)
	exact := make(map[string]bool)
	for _, w := range wishes {
		found := false
		for _, d := range all {
			switch w {
			case "all", d.backend.Name:
				found, wanted[d.ID] = true, true
			case d.ID:
				found, wanted[d.ID], exact[d.ID] = true, true, true
			}
		}
		if !found {
			var ids []string
			for _, d := range all {
				ids = append(ids, d.String())
			}
			err := fmt.Errorf("%w: --device %s; this machine has %s", ErrSelect, w,
				strings.Join(ids, ", "))
			if kind(w) != CPU {
				err = absent{err}
			}
			return nil, err
		}
	}
	if len(wishes) == 0 {
		for _, d := range all {
			wanted[d.ID] = d.GPU()
		}
	}
	var chosen []Device
	for _, d := range all {
		switch {
		case !wanted[d.ID]:
		case d.Same != "" && wanted[d.Same] && exact[d.ID]:
			return nil, fmt.Errorf("%w: %v is the same card as %s; choose one of them",
				ErrSelect, d, d.Same)
		case d.Same != "" && wanted[d.Same]:
		default:
			chosen = append(chosen, d)
		}
	}
	return chosen, nil
}
