// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/device/telemetry"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/pool"
)

// errUnfit is a report that found something wrong.
var errUnfit = errors.New("unfit")

// The verdicts of the doctor. Only bad is a failure.
const (
	good = "ok"
	note = "note" // worth knowing, no fault
	bad  = "FAILED"
)

// report is what the doctor found.
type report struct {
	OK      bool         `json:"ok"`
	Version string       `json:"version"`
	System  string       `json:"system"`
	Devices []deviceFile `json:"devices"`
	Checks  []check      `json:"checks"`
	// Start is the command to go on with, where all is well.
	Start string `json:"start,omitempty"`
}

// deviceFile is one device's.
type deviceFile struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Driver  string            `json:"driver"`
	Memory  uint64            `json:"memory,omitempty"` // bytes
	PCI     string            `json:"pci,omitempty"`
	Engine  string            `json:"engine,omitempty"`
	Result  string            `json:"known_answers"` // ok, note or FAILED
	Text    string            `json:"text,omitempty"`
	MS      int64             `json:"ms,omitempty"` // opening and known answers
	Sensors *telemetry.Sample `json:"sensors,omitempty"`
}

type check struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Text   string `json:"text"`
	Next   string `json:"next,omitempty"`
}

func (r *report) add(name, result, text, next string) {
	r.Checks = append(r.Checks, check{name, result, text, next})
}

func (c Command) doctor(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := c.flags("doctor", stderr)
	host := f.String("host", os.Getenv("ASSAY_HOST"), "also check the way to this host, "+
		"assay://host:port#fingerprint; default from ASSAY_HOST")
	home := homeFlag(f)
	asJSON := f.Bool("json", false, "print JSON")
	if err := parse(f, args); err != nil {
		return err
	}
	r := &report{Version: version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	c.examine(ctx, r)
	r.home(*home)
	if *host = unquoted(*host); *host != "" {
		r.host(ctx, *host, *home, time.Now)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.OK = true
	for _, d := range r.Devices {
		r.OK = r.OK && d.Result != bad
	}
	for _, k := range r.Checks {
		r.OK = r.OK && k.Result != bad
	}
	if r.OK {
		url := *host
		if url == "" {
			url = "URL"
		}
		r.Start = fmt.Sprintf("%s start --host %s --home %s", c.Name, url, *home)
		if os.Getenv("ASSAY_PAYOUT") == "" {
			r.Start += " --payout cpc1..."
			r.add("payout", note, "no account is named: a pool owes what this machine earns, and "+
				"pays once there is one", "")
		}
	}
	var err error
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		_, err = io.WriteString(stdout, r.text(width(stdout)))
	}
	if err == nil && !r.OK {
		err = errUnfit
	}
	return err
}

// examine opens every device and gives it the known answers.
func (c Command) examine(ctx context.Context, r *report) {
	sensors := c.sensors()
	all, troubles := device.List(c.backends())
	for _, d := range all {
		file := tried(ctx, d)
		sample, err := telemetry.Sample{}, error(nil)
		if s, serr := reader(sensors, d); serr != nil {
			err = serr
		} else {
			sample, err = s.Read(time.Now())
		}
		if err == nil {
			file.Sensors = &sample
		}
		if d.GPU() && (err != nil || sample.TemperatureC == nil) {
			r.add("sensors", note, fmt.Sprintf("the temperature of %s is not known, so "+
				"--temp-limit has no effect on it: %v", d.ID, errOr(err, "it has no such sensor")),
				"")
		}
		r.Devices = append(r.Devices, file)
	}
	c.drivers(r, all, troubles, sensors.Cards())
	for _, path := range forbidden("/dev") {
		r.add("device files", bad, path+" cannot be opened by this user", "add the user to the "+
			"groups video and render (sudo usermod -aG video,render $USER), and log in again")
	}
}

// tried opens a device, and says how it went.
func tried(ctx context.Context, d device.Device) deviceFile {
	file := deviceFile{ID: d.ID, Name: d.Name, Driver: d.Driver, Memory: d.Memory,
		PCI: d.PCI, Result: good}
	began := time.Now()
	o, err := d.Open(ctx)
	file.MS = time.Since(began).Milliseconds()
	switch {
	case err != nil:
		file.Result, file.Text = bad, err.Error()
	default:
		file.Engine = o.Engine.Name()
		if o.Warning != nil {
			file.Result, file.Text = bad, o.Warning.Error()
		} else if d.Same != "" {
			file.Result, file.Text = note, "the same card as "+d.Same+", which is used"
		} else {
			file.Text = o.Slower()
		}
		if err := o.Close(); err != nil {
			file.Result, file.Text = bad, err.Error()
		}
	}
	return file
}

// drivers says of each kind of device whether it can compute here, and of each graphics card that
// no driver offers.
func (c Command) drivers(r *report, all []device.Device, troubles []device.Trouble,
	cards []telemetry.Card) {
	unserved := device.Unserved(all, cards)
	if len(troubles) > 0 && len(unserved) == 0 && !slices.ContainsFunc(all, device.Device.GPU) &&
		!slices.ContainsFunc(troubles, func(t device.Trouble) bool {
			return !errors.Is(t.Err, device.ErrMissing)
		}) {
		var names []string
		for _, t := range troubles {
			names = append(names, t.Backend)
		}
		r.add("graphics", note, "no GPU is found, and no driver for one ("+strings.Join(names,
			", ")+"): the processor computes", "")
		troubles = nil
	}
	for _, b := range c.backends() {
		i := slices.IndexFunc(troubles, func(t device.Trouble) bool { return t.Backend == b.Name })
		switch {
		case i >= 0 && errors.Is(troubles[i].Err, device.ErrMissing):
			r.add(b.Name, note, strings.TrimPrefix(troubles[i].Err.Error(),
				device.ErrMissing.Error()+": "), "")
		case i >= 0:
			r.add(b.Name, bad, troubles[i].Err.Error(), "")
		case slices.ContainsFunc(r.Checks, func(k check) bool { return k.Name == "graphics" }):
		case b.Name != device.CPU && !slices.ContainsFunc(all,
			func(d device.Device) bool { return strings.HasPrefix(d.ID, b.Name+":") }):
			r.add(b.Name, note, "its driver is there, and offers no device", "")
		}
	}
	for _, card := range unserved {
		text := fmt.Sprintf("a graphics device by %s at %s is offered by no driver for computing",
			card.Vendor, card.PCI)
		if len(c.backends()) == 1 {
			r.add("graphics", note, text+" that this program was built for", "")
			continue
		}
		_, vendor, _ := device.Serving(c.backends(), card.Vendor)
		result := note
		if vendor.All {
			result = bad
		}
		if card.Module == "" {
			text += ", and the kernel has no driver for it"
		}
		r.add("graphics", result, text, vendor.Hint)
	}
}

func errOr(err error, text string) any {
	if err != nil {
		return err
	}
	return text
}

// forbidden are device files of GPUs that are there and that this user may not
// open.
func forbidden(dev string) (paths []string) {
	for _, pattern := range []string{"kfd", "dri/renderD*", "nvidia[0-9]*",
		"nvidiactl", "nvidia-uvm"} {
		found, _ := filepath.Glob(filepath.Join(dev, pattern))
		for _, path := range found {
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if errors.Is(err, fs.ErrPermission) {
				paths = append(paths, path)
			}
			if err == nil {
				_ = file.Close()
			}
		}
	}
	return paths
}

// trial is how much the home directory has to take; a worker needs less.
const trial = 1 << 20

// home checks the directory and the key in it, and makes neither.
func (r *report) home(home string) {
	info, err := os.Stat(home)
	switch {
	case home == "":
		r.add("home", bad, "there is no home directory", "name one with --home")
		return
	case errors.Is(err, fs.ErrNotExist):
		r.add("home", note, home+" does not exist yet; start and id make it", "")
		return
	case err != nil || !info.IsDir():
		r.add("home", bad, fmt.Sprintf("%s is no directory: %v", home, errOr(err, "it is a file")),
			"name another with --home")
		return
	}
	if err := write(home); err != nil {
		r.add("home", bad, err.Error(), "make room, or give this user the directory: "+home)
	} else {
		r.add("home", good, fmt.Sprintf("%s can be written, locked, and has room", home), "")
	}
	if err := short(filepath.Join(home, socketFile)); err != nil {
		r.add("status", bad, err.Error(), "")
	}
	if _, err := os.Stat(filepath.Join(home, worker.KeyFile)); errors.Is(err, fs.ErrNotExist) {
		r.add("key", note, "there is no key yet", "make one: assay-worker id --home "+home)
	} else if key, err := worker.Key(home); err != nil {
		r.add("key", bad, err.Error(), "")
	} else {
		r.add("key", good, fmt.Sprintf("%x", key.Public()), "")
		if err := worker.Whole(home, key); err != nil {
			r.add("parts", bad, err.Error(), "")
		}
	}
}

// write does in a directory what start does: it makes a file that must not be there, reads its
// mode, replaces it, and takes a lock.
func write(dir string) (err error) {
	name := filepath.Join(dir, fmt.Sprintf(".doctor-%d", os.Getpid()))
	defer func() {
		for _, path := range []string{name, name + ".lock"} {
			if rerr := os.Remove(path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				err = errors.Join(err, rerr)
			}
		}
	}()
	if err := durable.Create(name, make([]byte, trial), 0o600); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("the file system of %s keeps no modes, so a key in it could be read by "+
			"others (mode %04o); mount it with umask=077, or name a --home on another one",
			dir, info.Mode().Perm())
	}
	if err := durable.WriteFile(name, nil, 0o600); err != nil {
		return err
	}
	unlock, err := durable.Lock(name + ".lock")
	if err != nil {
		return err
	}
	return unlock()
}

// skew is how far clocks may be apart before it is worth a word: `until` texts and
// logs are compared by people.
const skew = 30 * time.Second

// host looks for the host, compares its key with the address, and its clock with
// this machine's.
func (r *report) host(ctx context.Context, url, home string, now func() time.Time) {
	address, err := link.ParseAddress(url)
	if err != nil {
		r.add("host", bad, err.Error(), "copy the worker URL from the host again (assay host url)")
		return
	}
	// A key is looked for and never made: who only asks leaves nothing behind.
	var key ed25519.PrivateKey
	_, err = os.Stat(filepath.Join(home, worker.KeyFile))
	own := err == nil
	if own {
		key, err = worker.Key(home)
	} else {
		_, key, err = ed25519.GenerateKey(nil)
	}
	if err != nil {
		r.add("host", bad, err.Error(), "")
		return
	}
	config, err := link.ClientTLS(key, address.Fingerprint)
	if err != nil {
		r.add("host", bad, err.Error(), "")
		return
	}
	transport := link.Transport(config)
	transport.DisableKeepAlives = true
	client := &http.Client{Timeout: 20 * time.Second, Transport: transport}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead,
		"https://"+address.HostPort+"/", nil)
	if err != nil {
		r.add("host", bad, err.Error(), "")
		return
	}
	began := now()
	response, err := client.Do(request)
	if err != nil {
		reason, next := link.Explain(err, address.HostPort)
		r.add("host", bad, reason, next)
		return
	}
	_ = response.Body.Close()
	took := now().Sub(began)
	r.add("host", good, fmt.Sprintf("%s answers in %d ms and holds the key of the URL",
		address.HostPort, took.Milliseconds()), "")
	r.clock(response.Header.Get("Date"), began.Add(took/2))
	r.admission(ctx, url, home, key, own)
}

// clock compares the host's clock with this machine's in the middle of a request.
func (r *report) clock(date string, ours time.Time) {
	theirs, err := http.ParseTime(date)
	if err != nil {
		r.add("clock", note, "the host does not tell its time", "")
		return
	}
	if off := ours.Sub(theirs); off.Abs() > skew {
		r.add("clock", bad, fmt.Sprintf("this machine's clock and the host's are %v apart",
			off.Abs().Round(time.Second)), "let both follow a time server (timedatectl set-ntp "+
			"true)")
		return
	}
	r.add("clock", good, "it agrees with the host's", "")
}

// admission asks whether the host has a pool, and whether it knows this machine.
func (r *report) admission(ctx context.Context, url, home string,
	key ed25519.PrivateKey, own bool) {
	offers, terms, err := pool.Ask(ctx, url, key)
	switch {
	case err != nil:
		r.add("pool", note, "the host does not say whether it has one: "+err.Error(), "")
	case offers:
		r.add("pool", good, terms, "")
	default:
		r.add("pool", note, "the host has none, and takes only machines that its owner named", "")
	}
	if !own {
		r.add("admission", note, "this machine has no key yet that the host could know", "")
		return
	}
	if _, err := call(ctx, home, http.MethodGet, "/status", ""); !errors.Is(err, errNotRunning) {
		r.add("admission", note, "a worker runs on "+home+", and is not disturbed: its status "+
			"says whether the host knows it", "")
		return
	}
	switch node, refusal, err := worker.Admitted(ctx, url, key); {
	case err != nil:
		r.add("admission", bad, err.Error(), "")
	case node != "":
		r.add("admission", good, "the host knows this machine, as node "+node, "")
	case offers && refusal.Stranger:
		r.add("admission", note, "the host does not know this machine yet: its pool will, from "+
			"the first accepted proof on", "")
	default:
		r.add("admission", bad, refusal.Reason, refusal.Next)
	}
}

// text is the report for people, in lines of at most width columns where words
// allow it.
func (r *report) text(width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "assay-worker %s, %s\n\ndevices\n", r.Version, r.System)
	for _, d := range r.Devices {
		fmt.Fprintf(&b, "  %-9s %-7s %s\n", d.ID, d.Result, d.Name)
		facts := []string{"driver " + d.Driver}
		if d.Engine != "" {
			facts = append(facts, "engine "+d.Engine,
				fmt.Sprintf("known answers given in %d ms", d.MS))
		}
		if d.Memory > 0 {
			facts = append(facts, fmt.Sprintf("%d MiB", d.Memory>>20))
		}
		if s := d.Sensors; s != nil && s.TemperatureC != nil {
			facts = append(facts, fmt.Sprintf("%d °C", *s.TemperatureC))
		}
		if s := d.Sensors; s != nil && s.PowerMilliwatt != nil {
			facts = append(facts, fmt.Sprintf("%d W", *s.PowerMilliwatt/1000))
		}
		const indent = "            "
		wrap(&b, indent, indent, strings.Join(facts, "; "), width)
		wrap(&b, indent, indent, d.Text, width)
	}
	b.WriteString("\nchecks\n")
	for _, k := range r.Checks {
		indent := strings.Repeat(" ", 23)
		wrap(&b, fmt.Sprintf("  %-12s %-7s ", k.Name, k.Result), indent,
			strings.ReplaceAll(k.Text, "\n", "; "), width)
		wrap(&b, indent+"-> ", indent+"   ", k.Next, width)
	}
	if r.OK {
		b.WriteString("\nall well; go on with:\n  " + r.Start + "\n")
	} else {
		b.WriteString("\nsomething is wrong: see " + bad + "\n")
	}
	return b.String()
}

// wrap writes a text, if there is one, behind first and in further lines behind
// indent. A word that is longer than a line is not cut: it may be a key.
func wrap(b *strings.Builder, first, indent, text string, width int) {
	line := first
	empty := true
	for word := range strings.FieldsSeq(text) {
		switch {
		case empty:
			line, empty = line+word, false
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			b.WriteString(line + "\n")
			line = indent + word
		}
	}
	if !empty {
		b.WriteString(line + "\n")
	}
}
