// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
)

func TestPayout(t *testing.T) {
	const good = "cpc1cupdlxw6ejnl8sqy07p754u3399rs4656690lm" // made by the chain's own keyring
	for address, want := range map[string]string{
		good:                         "",
		strings.ToUpper(good):        "",
		"Cpc1" + good[4:]:            "mixed",
		"cosmos1" + good[4:]:         "begins with cosmos1",
		"0x8ba1f109551bd432803012":   "begins with 0x8ba1",
		"alice":                      "does not begin with cpc1",
		good[:20] + "b" + good[21:]:  `character 21, 'b'`,
		good[:len(good)-1]:           "has 41 characters, not 42",
		good[:20] + "qq" + good[22:]: "checksum",
	} {
		err := checkPayout(address)
		switch {
		case want == "" && err != nil:
			t.Error(err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
	// Every slip of one character is found.
	for i := len("cpc1"); i < len(good); i++ {
		for _, c := range alphabet {
			if slip := good[:i] + string(c) + good[i+1:]; slip != good && checkPayout(slip) == nil {
				t.Errorf("%s passes", slip)
			}
		}
	}
}
