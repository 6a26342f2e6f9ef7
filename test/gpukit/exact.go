// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// suite is an engine's compiled tests, and which of them are about the device.
type suite struct {
	engine string
	folder string // of the kit; the tests find the vectors from it
	tests  string // for -test.run
	// the part of a test's name that is there only on a device; "" where all tests are
	device string
	limit  time.Duration // at most
}

// suites are in order of what matters: the GPU's own engines, then the processor's. Of CUDA's tests
// those in the interpreter are left out; CI runs them.
var suites = []suite{
	{"cuda", "device/cuda",
		"^(TestSelfTest|TestVectors|TestUnitsOfMatmul|TestRoots|TestUnitsOfTransformer|TestBareProducts|TestDeepProducts|TestParts)$/^device_0$", "/device_0", 110 * time.Second},
	{"opencl", "device/opencl",
		"^(TestSelfTest|TestVectors|TestUnitsOfMatmul|TestUnitsOfTransformer|TestUnitOfSmall|TestProductRandomShapes|TestProductAtItsLimits|TestNorms|TestAttend)$", "", 180 * time.Second},
	{"cpu", "device/cpu",
		"^(TestEveryEngineTestsItself|TestVectors|TestVectorsOfPRF|TestVectorsOfCondense|TestProductRandomShapes|TestProductAtItsLimits|TestTransformerSteps)$", "", 45 * time.Second},
}

// proof is what an engine's tests said.
type proof struct {
	Engine   string   `json:"engine"`
	Device   string   `json:"device,omitempty"` // as the tests name it
	Exact    bool     `json:"exact"`            // tests ran, and none failed
	Why      string   `json:"why,omitempty"`    // it is not, or nothing ran
	Products int      `json:"random_products"`
	Vectors  int      `json:"published_vectors"`
	Seconds  float64  `json:"seconds"`
	Tests    []result `json:"tests"`
	Output   string   `json:"output,omitempty"` // its end, where a test failed
}

// noDevice is why nothing is shown where there is nothing to show it on.
const noDevice = "no test ran on a device"

// result is that of one test: PASS, FAIL or SKIP.
type result struct {
	Name    string  `json:"name"`
	Result  string  `json:"result"`
	Seconds float64 `json:"seconds"`
}

// prove runs a suite's tests.
func (k kit) prove(ctx context.Context, s suite) proof {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, filepath.Join(k.folder, s.folder, s.engine+".test"), "-test.v",
		"-test.run", s.tests)
	cmd.Dir = filepath.Join(k.folder, s.folder)
	cmd.Env = append(os.Environ(), "ASSAY_LONG=1")
	out, err := cmd.CombinedOutput()
	p := s.read(string(out))
	p.Seconds = time.Since(began).Seconds()
	switch {
	case ctx.Err() != nil:
		p.Exact, p.Why = false, fmt.Sprintf("not all tests had ended after %.0f s", p.Seconds)
	case err != nil && (p.Why == "" || p.Why == noDevice):
		p.Exact, p.Why = false, err.Error()
	}
	if !p.Exact {
		p.Output = tail(string(out), 4000)
	}
	return p
}

var (
	ended    = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+) \(([0-9.]+)s\)`)
	products = regexp.MustCompile(`\b([0-9]+) random products\b`)
	vectors  = regexp.MustCompile(`\b([0-9]+) published vectors\b`)
	device   = regexp.MustCompile(`\bdevice: (.+)`)
)

// read understands the output of tests.
func (s suite) read(out string) proof {
	p := proof{Engine: s.engine, Tests: []result{}}
	passed := 0
	for _, m := range ended.FindAllStringSubmatch(out, -1) {
		seconds, _ := strconv.ParseFloat(m[3], 64) // the pattern's digits
		p.Tests = append(p.Tests, result{m[2], m[1], seconds})
		switch {
		case m[1] == "FAIL":
			p.Why = m[2] + " failed"
		case m[1] == "PASS" && strings.Contains(m[2], s.device):
			passed++
		}
	}
	p.Products, p.Vectors = sum(products, out), sum(vectors, out)
	if m := device.FindStringSubmatch(out); m != nil {
		p.Device = strings.TrimSpace(m[1])
	}
	if passed == 0 && p.Why == "" {
		p.Why = noDevice
	}
	p.Exact = p.Why == ""
	return p
}

// sum adds the numbers up that a pattern finds.
func sum(pattern *regexp.Regexp, out string) (total int) {
	for _, m := range pattern.FindAllStringSubmatch(out, -1) {
		n, _ := strconv.Atoi(m[1])
		total += n
	}
	return total
}

// tail is the end of a text.
func tail(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return "..." + text[len(text)-most:]
}
