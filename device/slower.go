// SPDX-License-Identifier: Apache-2.0

package device

import (
	"runtime"

	"github.com/assaynet/assay/poc/work"
)

// needs says, for each engine that is not its backend's fastest, what a faster one needs.
var needs = map[string]string{
	"cpu/avx2": "cpu/avx512vnni is faster and needs AVX-512 with VNNI, which this processor " +
		"lacks or its system does not let programs use",
	"cuda/sm_75": "cuda/sm_80 is faster and needs compute capability 8.0 (Ampere)",
	"opencl/plain": "opencl/dot is faster and needs the extension cl_khr_integer_dot_product, " +
		"which this driver does not offer or does not get right",
}

// plainNeeds is the same for the reference, by architecture.
var plainNeeds = map[string]string{
	"amd64": "cpu/avx2 is many times faster and needs AVX2, which this processor lacks or its " +
		"system does not let programs use",
	"arm64": "cpu/neon-dotprod is many times faster and needs dot products (asimddp), which this " +
		"processor lacks",
}

// Slower says why no faster engine of this program was chosen: empty where there is none, or
// Warning says it.
func (o Opened) Slower() string {
	if o.Warning != nil || o.Engine == nil {
		return ""
	}
	return slower(o.Engine.Name(), runtime.GOARCH)
}

func slower(engine, architecture string) string {
	if engine != work.Reference().Name() {
		return needs[engine]
	}
	if text, ok := plainNeeds[architecture]; ok {
		return text
	}
	return "this program has no faster engine for processors of the architecture " + architecture
}

// clean is a name as a driver gives it, in printable UTF-8: what is not becomes a question mark, so
// that nothing that shows it later can break on it.
func clean(name string) string {
	out := make([]rune, 0, len(name))
	for _, r := range name { // bytes that are no UTF-8 come as U+FFFD
		if r == '\ufeff' || r == 0 {
			continue
		}
		if r == '\ufffd' || r < ' ' || r >= 0x7f && r < 0xa0 {
			r = '?'
		}
		if out = append(out, r); len(out) == nameLength {
			break
		}
	}
	return string(out)
}

// nameLength bounds names, in characters.
const nameLength = 200
