// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/device/cpu"
	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/device/telemetry"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// forgetful computes as the processor does, with one bit of each result wrong.
type forgetful struct{ work.Engine }

func (e forgetful) Transformer(ctx context.Context, class transformer.Class, seed1 seed.Seed,
	progress func(done, total uint64)) (transformer.Model, error) {
	m, err := e.Engine.Transformer(ctx, class, seed1, progress)
	return forgetfulModel{m}, err
}

type forgetfulModel struct{ transformer.Model }

func (m forgetfulModel) Run(dst []transformer.Output, node, segment seed.Seed,
	nonces []uint64) error {
	err := m.Model.Run(dst, node, segment, nonces)
	for i := range dst {
		dst[i].Norm ^= 1
	}
	return err
}

// closer tells how many engines are open.
type closer struct {
	profile.Engine
	open *int
}

func (c closer) Close() error { *c.open--; return nil }

// computer is a machine of the test's: the processor's engine stands for every
// device, under other names.
type computer struct {
	cuda, opencl       []profile.Device
	cudaErr, openclErr error
	bad                []string // devices that give wrong answers
	shut               []string // devices that cannot be opened
}

var errShut = errors.New("the device has fallen off the bus; reboot")

func (m *computer) backends(t *testing.T) []Backend {
	engine, err := cpu.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	backend := func(name string, all []profile.Device, err error, vendors ...Vendor) Backend {
		return Backend{
			Name:    name,
			Vendors: vendors,
			Devices: func() ([]profile.Device, error) { return all, err },
			Open: func(_ context.Context, index int) (profile.Engine, error) {
				id := fmt.Sprintf("%s:%d", name, index)
				if slices.Contains(m.shut, id) {
					return nil, errShut
				}
				e := Plain(engine)
				if slices.Contains(m.bad, id) {
					e = Plain(forgetful{engine})
				}
				return e, nil
			},
		}
	}
	return []Backend{
		Processor(), backend("cuda", m.cuda, m.cudaErr, Vendor{Name: "NVIDIA", All: true}),
		backend("opencl", m.opencl, m.openclErr, Vendor{Name: "AMD"}, Vendor{Name: "Intel"}),
	}
}

var (
	errNoDriver = fmt.Errorf("%w: install it", ErrMissing)
	h100        = profile.Device{Name: "NVIDIA H100", PCI: "0000:17:00.0"}
	h100b       = profile.Device{Name: "NVIDIA H100", PCI: "0000:65:00.0"}
	h100cl      = profile.Device{Name: "NVIDIA H100", Driver: "NVIDIA CUDA", PCI: "0000:17:00.0"}
	radeon      = profile.Device{Name: "gfx1100", Driver: "AMD", PCI: "0000:03:00.0"}
	nvidia      = telemetry.Card{PCI: "0000:17:00.0", Vendor: "NVIDIA"}
	amd         = telemetry.Card{PCI: "0000:03:00.0", Vendor: "AMD"}
)

func TestChoose(t *testing.T) {
	for name, c := range map[string]struct {
		computer computer
		wishes   string
		cards    []telemetry.Card
		use, out string
		notes    []string // parts of them, in order
		err      error
		text     []string // parts of the error
	}{
		"no gpu": {computer: computer{cudaErr: errNoDriver, openclErr: errNoDriver},
			use: "cpu", notes: []string{"there is no GPU"}},
		"two gpus": {computer: computer{cuda: []profile.Device{h100, h100b},
			openclErr: errNoDriver},
			use: "cuda:0 cuda:1"},
		"one card, two backends": {computer: computer{cuda: []profile.Device{h100, h100b},
			opencl: []profile.Device{h100cl, radeon}},
			use: "cuda:0 cuda:1 opencl:1"},
		"amd": {computer: computer{cudaErr: errNoDriver, opencl: []profile.Device{radeon}},
			cards: []telemetry.Card{amd},
			use:   "opencl:0"},
		"one of two is broken": {computer: computer{cuda: []profile.Device{h100, h100b},
			openclErr: errNoDriver, bad: []string{"cuda:1"}},
			use: "cuda:0", out: "cuda:1", notes: []string{"NOT USED: cuda:1 (NVIDIA H100) gives " +
				"wrong answers"}},
		"the only one is broken": {computer: computer{cuda: []profile.Device{h100},
			openclErr: errNoDriver, bad: []string{"cuda:0"}},
			out: "cuda:0", err: work.ErrSelfTest,
			text: []string{"cuda:0 (NVIDIA H100)", "wrong", "--device cpu"}},
		"the only one is shut": {computer: computer{cuda: []profile.Device{h100},
			openclErr: errNoDriver, shut: []string{"cuda:0"}},
			out: "cuda:0", err: errShut, text: []string{"cuda:0 (NVIDIA H100) could not be opened",
				"reboot", "--device cpu"}},
		"broken, and the processor is asked for": {computer: computer{cuda: []profile.Device{h100},
			openclErr: errNoDriver, bad: []string{"cuda:0"}},
			wishes: "cpu", use: "cpu"},
		"all, and the gpu is broken": {computer: computer{cuda: []profile.Device{h100},
			openclErr: errNoDriver, bad: []string{"cuda:0"}},
			wishes: "all", use: "cpu", out: "cuda:0", notes: []string{"NOT USED: cuda:0"}},
		"the driver is broken": {computer: computer{cudaErr: errors.New("versions differ; reboot"),
			openclErr: errNoDriver},
			err: ErrAbsent, text: []string{"cuda: versions differ; reboot", "--device cpu"}},
		"the driver is broken, another gpu is not": {
			computer: computer{cudaErr: errors.New("versions differ; reboot"),
				opencl: []profile.Device{radeon}},
			use: "opencl:0", notes: []string{"NOT USED: cuda: versions differ; reboot"}},
		"a card without its driver": {computer: computer{cudaErr: errNoDriver,
			openclErr: errNoDriver}, cards: []telemetry.Card{nvidia},
			err: ErrAbsent, text: []string{"NVIDIA at 0000:17:00.0", "install it", "--device cpu"}},
		"a card that its driver hides": {computer: computer{openclErr: errNoDriver},
			cards: []telemetry.Card{nvidia},
			err:   ErrBroken, text: []string{"NVIDIA at 0000:17:00.0", "cuda does not list it"}},
		"a card without its driver, and the processor is asked for": {
			computer: computer{cudaErr: errNoDriver, openclErr: errNoDriver},
			cards:    []telemetry.Card{nvidia},
			wishes:   "cpu", use: "cpu"},
		"small graphics without opencl": {computer: computer{cudaErr: errNoDriver,
			openclErr: errNoDriver}, cards: []telemetry.Card{amd},
			use: "cpu", notes: []string{"AMD at 0000:03:00.0 is not used: device: no driver: " +
				"install it", "there is no GPU"}},
		"by id": {computer: computer{cuda: []profile.Device{h100, h100b}, openclErr: errNoDriver},
			wishes: "cuda:1 cpu", use: "cpu cuda:1"},
		"by backend": {computer: computer{cuda: []profile.Device{h100, h100b},
			opencl: []profile.Device{h100cl}},
			wishes: "cuda", use: "cuda:0 cuda:1"},
		"a backend that is not preferred": {computer: computer{cuda: []profile.Device{h100},
			opencl: []profile.Device{h100cl}},
			wishes: "opencl", use: "opencl:0"},
		"both backends": {computer: computer{cuda: []profile.Device{h100},
			opencl: []profile.Device{h100cl, radeon}},
			wishes: "cuda opencl", use: "cuda:0 opencl:1"},
		"the same card twice": {computer: computer{cuda: []profile.Device{h100},
			opencl: []profile.Device{h100cl}},
			wishes: "cuda:0 opencl:0", err: ErrSelect, text: []string{"opencl:0 (NVIDIA H100) is " +
				"the same card as cuda:0"}},
		"none such": {computer: computer{cudaErr: errNoDriver, opencl: []profile.Device{radeon}},
			wishes: "cuda:0", err: ErrAbsent,
			text: []string{"--device cuda:0", "opencl:0 (gfx1100)", "cuda: device: no driver: " +
				"install it"}},
	} {
		t.Run(name, func(t *testing.T) {
			choice, err := Choose(t.Context(), c.computer.backends(t),
				strings.Fields(c.wishes), c.cards)
			var use, out []string
			for _, o := range choice.Use {
				use = append(use, o.ID)
			}
			for _, r := range choice.Out {
				out = append(out, r.ID)
				if r.Err == nil {
					t.Errorf("%s is out without a reason", r.ID)
				}
			}
			if diff := cmp.Diff([]string{c.use, c.out},
				[]string{strings.Join(use, " "), strings.Join(out, " ")}); diff != "" {
				t.Errorf("used and not: %s", diff)
			}
			if !errors.Is(err, c.err) {
				t.Errorf("error %v", err)
			}
			for _, part := range c.text {
				if !strings.Contains(fmt.Sprint(err), part) {
					t.Errorf("%q is not in: %v", part, err)
				}
			}
			if len(choice.Notes) != len(c.notes) {
				t.Fatalf("notes %q", choice.Notes)
			}
			for i, part := range c.notes {
				if !strings.Contains(choice.Notes[i], part) {
					t.Errorf("note %q, want %q", choice.Notes[i], part)
				}
			}
		})
	}
}

// A driver that does not tell places on the bus is matched by maker and name.
func TestSameCardWithoutPlace(t *testing.T) {
	nameless := profile.Device{Name: "H100", Driver: "NVIDIA CUDA: OpenCL 3.0"}
	m := &computer{cuda: []profile.Device{h100, h100b},
		opencl: []profile.Device{nameless, radeon, nameless, nameless}}
	all, _ := List(m.backends(t))
	var got []string
	for _, d := range all {
		got = append(got, d.ID+"="+d.Same)
	}
	if diff := cmp.Diff("cpu= cuda:0= cuda:1= opencl:0=cuda:0 opencl:1= opencl:2=cuda:1 opencl:3=",
		strings.Join(got, " ")); diff != "" {
		t.Error(diff)
	}
	if u := Unserved(all, []telemetry.Card{{PCI: "0000:99:00.0", Vendor: "NVIDIA"},
		{PCI: "0000:98:00.0", Vendor: "Intel"}, amd}); len(u) != 1 || u[0].Vendor != "Intel" {
		t.Errorf("unserved %v", u)
	}
}

// A further kind of devices is an entry among the backends: cards of its makers are missed, the
// same card of another backend is found, and a choice may name it.
func TestAFurtherKind(t *testing.T) {
	further := func(m *computer, all ...profile.Device) []Backend {
		b := m.backends(t)
		hip := Backend{Name: "hip", Vendors: []Vendor{{Name: "AMD", All: true}},
			Devices: func() ([]profile.Device, error) { return all, nil }, Open: b[1].Open}
		return slices.Insert(b, 1, hip)
	}
	_, err := Choose(t.Context(), further(&computer{cudaErr: errNoDriver, openclErr: errNoDriver}),
		nil, []telemetry.Card{amd})
	if !errors.Is(err, ErrBroken) ||
		!strings.Contains(err.Error(), "AMD at 0000:03:00.0 is not used: hip does not list it") {
		t.Errorf("a card that is missing: %v", err)
	}
	all, _ := List(further(&computer{cuda: []profile.Device{h100},
		opencl: []profile.Device{radeon}}, profile.Device{Name: "AMD gfx1100"}))
	if last := all[len(all)-1]; last.ID != "opencl:0" || last.Same != "hip:0" {
		t.Errorf("two backends for a card: %v is the same as %q", last, last.Same)
	}
	if names := strings.Join(Names(further(new(computer))), " "); names != "cpu hip hip:0 cuda "+
		"cuda:0 opencl opencl:0" {
		t.Errorf("a choice among %s", names)
	}
}

// The processor's slower engine is used, and somebody is told.
func TestWarning(t *testing.T) {
	slow := Backend{Name: CPU, Devices: Processor().Devices,
		Open: func(context.Context, int) (profile.Engine, error) {
			return Plain(work.Reference()), errors.New("the fast one is wrong")
		}}
	choice, err := Choose(t.Context(), []Backend{slow}, nil, nil)
	if err != nil || len(choice.Use) != 1 || len(choice.Notes) != 2 ||
		!strings.Contains(choice.Notes[1], "the fast one is wrong") {
		t.Errorf("%+v, %v", choice, err)
	}
}

// Nothing stays open where nothing is used.
func TestClosed(t *testing.T) {
	open := 0
	opener := func(e profile.Engine) func(context.Context, int) (profile.Engine, error) {
		return func(context.Context, int) (profile.Engine, error) {
			open++
			return closer{e, &open}, nil
		}
	}
	list := func() ([]profile.Device, error) { return []profile.Device{h100}, nil }
	engine, err := cpu.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Choose(t.Context(),
		[]Backend{Processor(), {Name: "cuda", Devices: list,
			Open: opener(Plain(forgetful{engine}))}}, nil, nil); !errors.Is(err, ErrBroken) ||
		open != 0 {
		t.Errorf("%v, %d engines open", err, open)
	}
	choice, err := Choose(t.Context(),
		[]Backend{Processor(), {Name: "cuda", Devices: list, Open: opener(Plain(engine))}},
		nil, nil)
	if err != nil || open != 1 {
		t.Fatalf("%v, %d engines open", err, open)
	}
	if err := choice.Close(); err != nil || open != 0 {
		t.Errorf("%v, %d engines open", err, open)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Choose(ctx, []Backend{Processor(),
		{Name: "cuda", Devices: list, Open: opener(Plain(work.Reference()))}}, nil,
		nil); !errors.Is(err, context.Canceled) || open != 0 {
		t.Errorf("cancelled: %v, %d engines open", err, open)
	}
}

// Whatever this machine has, its processor computes, and every device that is
// listed says what it is.
func TestHere(t *testing.T) {
	all, troubles := List(Backends())
	for _, tr := range troubles {
		if tr.Err == nil || tr.Backend == "" {
			t.Errorf("%+v", tr)
		}
	}
	for _, d := range all {
		if d.ID == "" || d.Name == "" || d.Driver == "" {
			t.Errorf("%+v", d)
		}
	}
	choice, err := Choose(t.Context(), Backends(), []string{CPU}, nil)
	if err != nil || len(choice.Use) != 1 || choice.Use[0].ID != CPU {
		t.Errorf("%+v, %v", choice, err)
	}
	if _, err := Processor().Open(t.Context(), 1); !errors.Is(err, ErrSelect) {
		t.Errorf("a second processor: %v", err)
	}
}
