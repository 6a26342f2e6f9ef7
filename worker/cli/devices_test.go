// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	workerv1 "github.com/assaynet/assay/api/worker/v1"
	"github.com/assaynet/assay/device"
	"github.com/assaynet/assay/device/profile"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/enginetest"
)

// rig is a machine whose processor is this one's, with a card that computes and
// one that does not.
func rig(good, bad work.Engine) Command {
	cards := []profile.Device{{Name: "Good Card", Driver: "CUDA 12.4", Memory: 24 << 30},
		{Name: "Bad Card", Driver: "CUDA 12.4"}}
	if bad == nil {
		cards = cards[:1]
	}
	return Command{Name: "w", Sys: os.DevNull, Backends: []device.Backend{
		device.Processor(),
		{Name: "cuda", Devices: func() ([]profile.Device, error) {
			return cards, nil
		}, Open: func(_ context.Context, i int) (profile.Engine, error) {
			return device.Plain([]work.Engine{good, bad}[i]), nil
		}},
		{Name: "opencl", Devices: func() ([]profile.Device, error) {
			return nil, errors.Join(device.ErrMissing, errors.New("install a runtime"))
		}},
	}}
}

func TestDoctor(t *testing.T) {
	home := t.TempDir()
	sound := new(enginetest.Engine)
	c := rig(sound, nil)
	code, stdout, _ := run(c, "doctor", "--home", home)
	for _, part := range []string{"cuda:0    ok      Good Card", "driver CUDA 12.4; engine test; " +
		"known answers given in", "24576 MiB", "cpu ", "opencl       note    device: no driver; " +
		"install a runtime", "there is no key yet", "all well"} {
		if code != 0 || !strings.Contains(stdout, part) {
			t.Errorf("code %d, %q is not in\n%s", code, part, stdout)
		}
	}
	if left, _ := os.ReadDir(home); len(left) != 0 {
		t.Errorf("the doctor left %v", left)
	}

	c = rig(sound, broken{sound})
	if code, stdout, _ := run(c, "doctor", "--home", filepath.Join(home, "none")); code != 1 ||
		!strings.Contains(stdout, "cuda:1    FAILED  Bad Card") ||
		!strings.Contains(stdout, "wrong answers") {
		t.Errorf("code %d, %s", code, stdout)
	}
	code, stdout, _ = run(c, "doctor", "--json", "--home", home)
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); code != 1 || err != nil || r.OK ||
		len(r.Devices) != 3 || r.Devices[1].Result != good || r.Devices[2].Result != bad {
		t.Errorf("code %d, %v, %s", code, err, stdout)
	}
}

func results(r report) map[string]check {
	all := make(map[string]check)
	for _, k := range r.Checks {
		all[k.Name] = k
	}
	return all
}

func TestDoctorsHome(t *testing.T) {
	home := t.TempDir()
	examine := func(home string) map[string]check {
		var r report
		r.home(home)
		return results(r)
	}
	if k := examine(filepath.Join(home, "none")); k["home"].Result != note {
		t.Errorf("none: %v", k)
	}
	if _, _, stderr := run(Command{Name: "w"}, "id", "--home", home); stderr != "" {
		t.Fatal(stderr)
	}
	if k := examine(home); k["home"].Result != good || k["key"].Result != good ||
		len(k["key"].Text) != 64 {
		t.Errorf("a good one: %v", k)
	}
	if list, err := os.ReadDir(home); err != nil || len(list) != 1 {
		t.Errorf("the doctor leaves %v, %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(home, worker.HomeFile), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k := examine(home); k["parts"].Result != bad ||
		!strings.Contains(k["parts"].Text, "home.json") {
		t.Errorf("a lost part: %v", k)
	}
	if err := os.Remove(filepath.Join(home, worker.HomeFile)); err != nil {
		t.Fatal(err)
	}
	if k := examine(filepath.Join(home, strings.Repeat("long", 30))); k["status"].Result == good {
		t.Errorf("a long one: %v", k)
	}
	key := filepath.Join(home, "device.key")
	if k := examine(key); k["home"].Result != bad {
		t.Errorf("a file: %v", k)
	}
	if err := os.WriteFile(key, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k := examine(home); k["key"].Result != bad ||
		!strings.Contains(k["key"].Text, "does not hold a key") {
		t.Errorf("a broken key: %v", k)
	}
	if k := examine(""); k["home"].Result != bad || k["home"].Next == "" {
		t.Errorf("nowhere: %v", k)
	}
}

func TestDoctorsHost(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	config, err := link.ServerTLS(key)
	if err != nil {
		t.Fatal(err)
	}
	var pool, known atomic.Bool
	handler := func(w http.ResponseWriter, r *http.Request) {
		peer, _ := link.PeerKey(*r.TLS)
		switch {
		case r.URL.Path == mpocv1.PathStatus && pool.Load():
			json.NewEncoder(w).Encode(mpocv1.Status{Chain: "c", Pay: "2000000000000",
				Policy: mpocv1.Policy{UnlockAfter: 8}})
		case r.URL.Path == workerv1.Path:
			answer := &workerv1.Envelope{
				Message: &workerv1.Envelope_Refuse{Refuse: &workerv1.Refuse{
					Reason:   fmt.Sprintf("this host does not know key %x", []byte(peer)),
					NextStep: "ask for: assay host allow KEY"}}}
			if known.Load() {
				answer = &workerv1.Envelope{
					Message: &workerv1.Envelope_Welcome{Welcome: &workerv1.Welcome{Chain: "c",
						Participant: "p", Node: "w7"}}}
			}
			c, err := link.Accept(w, r,
				link.Limits{Message: 1 << 16, Write: time.Minute, Ping: time.Minute})
			if err != nil {
				return
			}
			defer c.Abort()
			message, err := workerv1.Encode(answer)
			if _, rerr := c.Receive(r.Context()); rerr == nil && err == nil {
				err = c.Send(r.Context(), message)
			}
			if err != nil {
				t.Error(err)
			}
			_, _ = c.Receive(r.Context()) // until it leaves
		default:
			http.NotFound(w, r)
		}
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	s.TLS, s.Config.ErrorLog, s.Config.ConnContext = config,
		slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), link.ConnContext
	s.StartTLS()
	defer s.Close()
	address := link.Address{HostPort: s.Listener.Addr().String(),
		Fingerprint: link.FingerprintOf(key.Public().(ed25519.PublicKey))}
	home := t.TempDir()
	examine := func(url string, ahead time.Duration) map[string]check {
		var r report
		r.host(t.Context(), url, home, func() time.Time { return time.Now().Add(ahead) })
		return results(r)
	}
	if k := examine(address.String(), 0); k["host"].Result != good || k["clock"].Result != good {
		t.Errorf("a good one: %v", k)
	}
	if k := examine(address.String(), 0); k["pool"].Result != note ||
		k["admission"].Result != note || !strings.Contains(k["admission"].Text, "no key yet") {
		t.Errorf("nothing known: %v", k)
	}
	if files, err := os.ReadDir(home); err != nil || len(files) > 0 {
		t.Errorf("asking left %v, %v", files, err)
	}
	if _, err := worker.Key(home); err != nil {
		t.Fatal(err)
	}
	if k := examine(address.String(), 0); k["admission"].Result != bad ||
		!strings.Contains(k["admission"].Next, "assay host allow") {
		t.Errorf("a stranger, no pool: %v", k)
	}
	pool.Store(true)
	if k := examine(address.String(), 0); k["pool"].Result != good ||
		!strings.Contains(k["pool"].Text, "2.000 µCPC for 2^40") || k["admission"].Result != note ||
		!strings.Contains(k["admission"].Text, "first accepted proof") {
		t.Errorf("a stranger and a pool: %v", k)
	}
	known.Store(true)
	if k := examine(address.String(), 0); k["admission"].Result != good ||
		!strings.Contains(k["admission"].Text, "node w7") {
		t.Errorf("known: %v", k)
	}
	if k := examine(address.String(), -90*time.Minute); k["host"].Result != good ||
		k["clock"].Result != bad || !strings.Contains(k["clock"].Text, "are 1h") ||
		k["clock"].Next == "" {
		t.Errorf("late: %v", k)
	}
	wrong := address
	wrong.Fingerprint[3]++
	if k := examine(wrong.String(), 0); k["host"].Result != bad ||
		!strings.Contains(k["host"].Next, "assay host url") {
		t.Errorf("another key: %v", k)
	}
	code, stdout, stderr := run(rig(new(enginetest.Engine), nil), "start", "--home",
		filepath.Join(t.TempDir(), "home"), "--host", wrong.String())
	want := "w: whoever answers at " + address.HostPort + " does not hold the key that the URL " +
		"names; copy the worker URL"
	if at := strings.Index(stderr, want); code != 1 || at < 0 ||
		strings.Contains(stderr+stdout, "tls:") || strings.Contains(stdout, "whoever") ||
		!strings.HasSuffix(stdout, "  stopped\n") {
		t.Errorf("start: code %d, %s, %s", code, stdout, stderr)
	}
	s.Close()
	if k := examine(address.String(), 0); k["host"].Result != bad ||
		!strings.Contains(k["host"].Next, "check that the host runs") {
		t.Errorf("nobody: %v", k)
	}
	if k := examine("http://x", 0); k["host"].Result != bad {
		t.Errorf("no address: %v", k)
	}
	if code, stdout, _ := run(rig(new(enginetest.Engine), nil), "doctor", "--home",
		filepath.Join(t.TempDir(), "home"), "--host", nobody); code != 1 ||
		!strings.Contains(stdout, "something is wrong") {
		t.Errorf("code %d, %s", code, stdout)
	}
}

// The report fits the terminal, words that do not fit left alone.
func TestDoctorsWidth(t *testing.T) {
	r := report{Version: "v1", System: "linux/amd64",
		Devices: []deviceFile{{ID: "cuda:0", Name: "Card", Result: good, Driver: "CUDA 12.4",
			Engine: "cuda/sm_80", MS: 12, Memory: 24 << 30}}}
	r.add("cuda", note, "NVIDIA's driver is not installed (version 450 or newer; nvidia-smi must "+
		"list the device)", "install it, and look again with the doctor")
	r.add("key", good, strings.Repeat("ab", 32), "")
	want := `assay-worker v1, linux/amd64

devices
  cuda:0    ok      Card
            driver CUDA 12.4; engine cuda/sm_80; known
            answers given in 12 ms; 24576 MiB

checks
  cuda         note    NVIDIA's driver is not installed
                       (version 450 or newer; nvidia-smi
                       must list the device)
                       -> install it, and look again with
                          the doctor
  key          ok      abababababababababababababababababababababababababababababababab

something is wrong: see FAILED
`
	if d := cmp.Diff(want, r.text(60)); d != "" {
		t.Error(d)
	}
}

func TestForbiddenFiles(t *testing.T) {
	if os.Getuid() == 0 || runtime.GOOS != "linux" {
		t.Skip("root may open everything")
	}
	dev := t.TempDir()
	for _, name := range []string{"nvidia0", "kfd", "null"} {
		if err := os.WriteFile(filepath.Join(dev, name), nil,
			map[string]os.FileMode{"nvidia0": 0o600}[name]); err != nil {
			t.Fatal(err)
		}
	}
	if got := forbidden(dev); len(got) != 1 || filepath.Base(got[0]) != "kfd" {
		t.Errorf("%v", got)
	}
}

// A GPU that does not work is never replaced in silence, and never hidden.
func TestStartNamesBrokenDevices(t *testing.T) {
	sound := new(enginetest.Engine)
	c := rig(broken{sound}, nil)
	code, _, stderr := run(c, "start", "--home", filepath.Join(t.TempDir(), "home"),
		"--host", nobody)
	if code != 1 || !strings.Contains(stderr, "cuda:0 (Good Card) gives wrong answers") ||
		!strings.Contains(stderr, "--device cpu") {
		t.Errorf("code %d, %s", code, stderr)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	var stderrs bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- rig(sound, broken{sound}).Run(ctx,
			[]string{"start", "--json", "--home", filepath.Join(t.TempDir(), "home"), "--host",
				nobody}, nil, in, &stderrs)
		in.Close()
	}()
	var e worker.Event
	for lines := json.NewDecoder(out); e.Type != "disabled"; {
		e = worker.Event{}
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
	}
	if e.Device != "cuda:1" || !strings.Contains(e.Reason, "wrong answers") {
		t.Errorf("%+v", e)
	}
	cancel()
	go io.Copy(io.Discard, out)
	if code := <-done; code != 0 ||
		!strings.Contains(stderrs.String(), "NOT USED: cuda:1 (Bad Card)") {
		t.Errorf("code %d, %s", code, stderrs.String())
	}
}

// A worker that is started before its card's driver is waits for it, says why, and computes with
// it.
func TestADriverThatComesLate(t *testing.T) {
	for _, wish := range []string{"cuda", "cuda:0,cpu", ""} {
		t.Run(wish, func(t *testing.T) {
			var loaded atomic.Bool
			c := rig(new(enginetest.Engine), nil)
			c.look = time.Millisecond
			list := c.Backends[1].Devices
			c.Backends[1].Devices = func() ([]profile.Device, error) {
				if loaded.Load() {
					return list()
				}
				return nil, errors.New("the kernel module may not be loaded")
			}
			args := []string{"start", "--plain", "--home", filepath.Join(t.TempDir(), "home"),
				"--host", nobody}
			if wish != "" {
				args = append(args, "--device", wish)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stdout, stderr said
			done := make(chan int, 1)
			go func() { done <- c.Run(ctx, args, nil, &stdout, &stderr) }()
			until(t, "it says what it waits for", func() bool {
				return stderr.count("w: waiting for a device, which is looked for every 5s: ") ==
					1 && stderr.count("the kernel module may not be loaded") == 1
			})
			loaded.Store(true)
			until(t, "it works with the card",
				func() bool { return stdout.count("connecting: nothing listens") == 1 })
			cancel()
			if code := <-done; code != 0 || stderr.count("waiting for a device") != 1 {
				t.Errorf("code %d, %s", code, stderr.text.String())
			}
		})
	}
	c := rig(new(enginetest.Engine), nil)
	c.Backends[1].Devices = func() ([]profile.Device, error) { return nil, device.ErrMissing }
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a worker that waits can be stopped
	if code := c.Run(ctx, []string{"start", "--device", "cuda", "--home",
		filepath.Join(t.TempDir(), "home"), "--host", nobody}, nil, io.Discard,
		io.Discard); code != 0 {
		t.Errorf("code %d", code)
	}
}

// sys makes a tree of sensors.
func sys(t *testing.T, files map[string]string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("names with colons")
	}
	root := t.TempDir()
	for path, content := range files {
		path = filepath.Join(root, path)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const counter = "class/powercap/intel-rapl:0/energy_uj"

// without are this program's backends on a machine whose GPUs no driver offers.
func without(t *testing.T, list func() ([]profile.Device, error)) []device.Backend {
	all := device.Backends()
	if len(all) == 1 {
		t.Skip("built with the tag nogpu")
	}
	for i := range all[1:] {
		all[1+i].Devices = list
	}
	return all
}

// What is wrong with this machine's GPUs is told without any of them.
func TestDoctorsGraphics(t *testing.T) {
	root := sys(t, map[string]string{
		"bus/pci/devices/0000:17:00.0/class":  "0x030200",
		"bus/pci/devices/0000:17:00.0/vendor": "0x10de",
		"bus/pci/devices/0000:03:00.0/class":  "0x030000",
		"bus/pci/devices/0000:03:00.0/vendor": "0x1002",
	})
	nothing := func() ([]profile.Device, error) { return nil, device.ErrMissing }
	c := Command{Name: "w", Sys: root, Backends: without(t, nothing)}
	code, stdout, _ := run(c, "doctor", "--home", t.TempDir())
	for _, part := range []string{
		"graphics     FAILED  a graphics device by NVIDIA at 0000:17:00.0",
		"-> install NVIDIA's driver",
		"graphics     note    a graphics device by AMD at 0000:03:00.0",
		"-> install ROCm's OpenCL runtime",
	} {
		if code != 1 || !strings.Contains(stdout, part) {
			t.Errorf("code %d, %q is not in\n%s", code, part, stdout)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr said
	done := make(chan int, 1)
	go func() {
		done <- c.Run(ctx, []string{"start", "--home", filepath.Join(t.TempDir(), "home"), "--host",
			nobody}, nil, io.Discard, &stderr)
	}()
	until(t, "start waits for the driver of a card that the system sees",
		func() bool { return stderr.count("NVIDIA at 0000:17:00.0 is not used") == 1 })
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("code %d, %s", code, stderr.text.String())
	}
	c.Backends = c.Backends[:1] // built with the tag nogpu
	if code, stdout, _ := run(c, "doctor", "--home", t.TempDir()); code != 0 ||
		!strings.Contains(stdout, "this program was built for") {
		t.Errorf("code %d, %s", code, stdout)
	}
}

// Without any GPU that is one line, and the end says how to go on.
func TestDoctorWithoutGraphics(t *testing.T) {
	t.Setenv("ASSAY_HOST", "")
	t.Setenv("ASSAY_PAYOUT", "")
	missing := func() ([]profile.Device, error) {
		return nil, errors.Join(device.ErrMissing, errors.New("NVIDIA's driver is not installed"))
	}
	c := Command{Name: "w", Sys: t.TempDir(), Backends: without(t, missing)}
	home := t.TempDir()
	code, stdout, _ := run(c, "doctor", "--home", home)
	for _, part := range []string{"graphics     note    no GPU is found, and no driver for one " +
		"(cuda, opencl)", "payout       note    no account is named", "all well; go on with:\n  " +
		"w start --host URL --home " + home + " --payout cpc1...\n"} {
		if code != 0 || !strings.Contains(stdout, part) {
			t.Errorf("code %d, %q is not in\n%s", code, part, stdout)
		}
	}
	if strings.Contains(stdout, "NVIDIA") {
		t.Errorf("%s", stdout)
	}
	t.Setenv("ASSAY_PAYOUT", "cpc1x")
	if _, stdout, _ := run(c, "doctor", "--home", home); strings.Contains(stdout, "payout") {
		t.Errorf("%s", stdout)
	}
}

// --temp-limit is for GPUs, and for the processor if it is asked for.
func TestTemperatureLimit(t *testing.T) {
	root := sys(t, map[string]string{
		"class/drm/card0/device/uevent":                   "PCI_SLOT_NAME=0000:03:00.0",
		"class/drm/card0/device/vendor":                   "0x1002",
		"class/drm/card0/device/hwmon/hwmon0/temp1_input": "88000",
		"class/hwmon/hwmon1/name":                         "k10temp",
		"class/hwmon/hwmon1/temp1_input":                  "95000",
	})
	for _, c := range []struct{ args, state, until string }{
		{"--device cuda", "paused", "it is below 75 °C"},
		{"--device cuda --temp-limit 0", "connecting", ""},
		{"--device cuda --temp-limit 90", "connecting", ""},
		{"--device cpu", "connecting", ""},
		{"--device cpu --temp-limit 90 --temp-resume 70", "paused", "it is below 70 °C"},
	} {
		command := rig(new(enginetest.Engine), nil)
		command.Sys = root
		command.Backends[1].Devices = func() ([]profile.Device, error) {
			return []profile.Device{{Name: "Card", PCI: "0000:03:00.0"}}, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		home, done := filepath.Join(t.TempDir(), "h"), make(chan int, 1)
		go func() {
			done <- command.Run(ctx,
				append([]string{"start", "--json", "--home", home, "--host", nobody},
					strings.Fields(c.args)...), nil, io.Discard, io.Discard)
		}()
		s := shown(t, home, func(s worker.Status) bool {
			return s.State != "testing" && s.Devices[0].TemperatureC != nil
		})
		if s.State != c.state || s.Until != c.until {
			t.Errorf("%s: %+v", c.args, s)
		}
		cancel()
		<-done
	}
}

// shown asks the worker of a home until its status is so.
func shown(t *testing.T, home string, is func(worker.Status) bool) (s worker.Status) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); time.Now().Before(late); {
		code, text, _ := run(Command{Name: "w"}, "status", "--json", "--home", home)
		if code != 0 {
			continue // it does not run yet
		}
		s = worker.Status{}
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if is(s) {
			return s
		}
	}
	t.Fatalf("the worker of %s never was what is waited for: %+v", home, s)
	return s
}
