// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Words that LLVM's assembler gave for these texts, so that the encoders are
// held to something where it is not installed.
func TestEncoders(t *testing.T) {
	for _, c := range []struct {
		got  inst
		want uint32
		text string
	}{
		{sdot(1, 2, 31), 0x4e9f9441, "sdot v1.4s, v2.16b, v31.16b"},
		{sdotBy(1, 2, 31, 3), 0x4fbfe841, "sdot v1.4s, v2.16b, v31.4b[3]"},
		{mul(s4, 1, 2, 31), 0x4ebf9c41, "mul v1.4s, v2.4s, v31.4s"},
		{mlaBy(1, 2, 31, 3), 0x6fbf0841, "mla v1.4s, v2.4s, v31.s[3]"},
		{sshl(d2, 1, 2, 31), 0x4eff4441, "sshl v1.2d, v2.2d, v31.2d"},
		{srshl(d2, 1, 2, 31), 0x4eff5441, "srshl v1.2d, v2.2d, v31.2d"},
		{smax(b8, 1, 2, 31), 0x0e3f6441, "smax v1.8b, v2.8b, v31.8b"},
		{smin(s4, 1, 2, 31), 0x4ebf6c41, "smin v1.4s, v2.4s, v31.4s"},
		{sqxtn(b8, 1, 2), 0x0e214841, "sqxtn v1.8b, v2.8h"},
		{sqxtn(h8, 1, 2), 0x4e614841, "sqxtn2 v1.8h, v2.4s"},
		{smull(s4, 1, 2, 3), 0x4ea3c041, "smull2 v1.2d, v2.4s, v3.4s"},
		{smlal(s2, 1, 2, 3), 0x0ea38041, "smlal v1.2d, v2.2s, v3.2s"},
		{sshll(b16, 1, 2), 0x4f08a441, "sshll2 v1.8h, v2.16b, #0"},
		{bic(1, 2, 31), 0x4e7f1c41, "bic v1.16b, v2.16b, v31.16b"},
	} {
		if d := cmp.Diff(inst{c.want, c.text}, c.got, cmp.AllowUnexported(inst{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.text, d)
		}
	}
}

// every instruction that can be encoded, with registers of all kinds.
func every() (all []inst) {
	r := rand.New(rand.NewPCG(1, 2))
	v := func() vec { return vec(r.IntN(32)) }
	for range 20 {
		for _, a := range []arrangement{b8, b16, h4, h8, s2, s4, d2} {
			all = append(all, sshl(a, v(), v(), v()), srshl(a, v(), v(), v()))
			if a != d2 {
				all = append(all, smax(a, v(), v(), v()), smin(a, v(), v(), v()),
					mul(a, v(), v(), v()),
					smull(a, v(), v(), v()), smlal(a, v(), v(), v()), sshll(a, v(), v()),
					sqxtn(a, v(), v()))
			}
		}
		for i := range 4 {
			all = append(all, sdotBy(v(), v(), v(), i), mlaBy(v(), v(), v(), i))
		}
		all = append(all, bic(v(), v(), v()), sdot(v(), v(), v()))
	}
	return all
}

// used are the instructions in the file of kernels, text and word.
func used(t *testing.T, asm []byte) (all []inst) {
	t.Helper()
	for _, m := range regexp.MustCompile(`WORD +\$0x([0-9a-f]{8}) // (.*)`).FindAllSubmatch(asm,
		-1) {
		var i inst
		if _, err := fmt.Sscanf(string(m[1]), "%x", &i.word); err != nil {
			t.Fatal(err)
		}
		i.text = string(m[2])
		all = append(all, i)
	}
	if len(all) < 100 {
		t.Fatalf("%d words in the assembly", len(all))
	}
	return all
}

// LLVM's assembler, where there is one, makes the same words of the texts.
func TestEncodersAgreeWithLLVM(t *testing.T) {
	var tool string
	for _, name := range []string{"llvm-mc-19", "llvm-mc"} {
		if path, err := exec.LookPath(name); err == nil {
			tool = path
			break
		}
	}
	if tool == "" {
		t.Skip("no llvm-mc")
	}
	all := append(every(), used(t, kernels().assembly())...)
	var in strings.Builder
	for _, i := range all {
		fmt.Fprintln(&in, i.text)
	}
	cmd := exec.Command(tool, "-triple=aarch64", "-mattr=+dotprod", "-show-encoding")
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`encoding: \[0x(..),0x(..),0x(..),0x(..)\]`).FindAllSubmatch(out,
		-1)
	if len(found) != len(all) {
		t.Fatalf("%d encodings of %d instructions", len(found), len(all))
	}
	for n, m := range found {
		slices.Reverse(m[1:])
		if want := string(bytes.Join(m[1:], nil)); want != fmt.Sprintf("%08x", all[n].word) {
			t.Errorf("%s: %08x, want %s", all[n].text, all[n].word, want)
		}
	}
}

// The committed files are what this program writes.
func TestCommitted(t *testing.T) {
	w := kernels()
	for name, want := range map[string][]byte{"../../kernels_arm64.s": w.assembly(),
		"../../stubs_arm64.go": w.declarations()} {
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what go generate writes", name)
		}
	}
}
