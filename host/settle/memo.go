// SPDX-License-Identifier: Apache-2.0

package settle

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/assaynet/assay/host/ledger"
)

// memoTag begins the memo of a settlement.
const memoTag = "assay/pay/1/"

// maxMemo is the chain's bound (auth's max_memo_characters).
const maxMemo = 256

// memo names a settlement: its ledger, its number, and for each transfer how the
// device key begins.
func memo(id string, number uint64, payments []ledger.Payment) string {
	raw := make([]byte, 0, 3*len(payments))
	for _, p := range payments {
		b := p.Device.Prefix()
		raw = append(raw, b[:]...)
	}
	return fmt.Sprintf("%s%s/%d/%s", memoTag, id, number, base64.RawURLEncoding.EncodeToString(raw))
}

// parseMemo reads what memo wrote.
func parseMemo(s string) (id string, number uint64, devices []ledger.Prefix, ok bool) {
	rest, ok := strings.CutPrefix(s, memoTag)
	parts := strings.Split(rest, "/")
	if !ok || len(s) > maxMemo || len(parts) != 3 {
		return "", 0, nil, false
	}
	number, err := strconv.ParseUint(parts[1], 10, 64)
	raw, err2 := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || err2 != nil || number == 0 || len(raw)%3 != 0 {
		return "", 0, nil, false
	}
	for i := 0; i < len(raw); i += 3 {
		devices = append(devices, ledger.Prefix(raw[i:i+3]))
	}
	return parts[0], number, devices, true
}
