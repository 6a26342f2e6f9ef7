// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"

	"github.com/assaynet/assay/internal/disk"
)

// A node says that its disk is nearly full before it is, with the folder and what helps: in its log
// once a minute, and to those who ask while it lasts.
func TestANearlyFullDiskIsSaidBeforeItIsFull(t *testing.T) {
	const mib = 1 << 20
	space, broken := disk.Space{Free: 500 * mib, Total: 1000 * mib}, error(nil)
	var out bytes.Buffer
	r := newRoom("/home/alice/data", func(string) (disk.Space,
		error) {
		return space, broken
	}, log.NewLogger(&out))
	now := time.Now()
	look := func(after time.Duration) string {
		out.Reset()
		now = now.Add(after)
		r.look(now)
		return out.String()
	}
	if said := look(0); said != "" || r.reason() != "" {
		t.Errorf("with room: %s, %s", said, r.reason())
	}
	space.Free = 40 * mib
	const why = "the disk of /home/alice/data is nearly full: 40.0 MiB of 1000.0 MiB are free; " +
		"free 22.5 MiB: a node whose disk is full ends"
	if said := look(time.Second); !strings.Contains(said, why) ||
		!strings.HasPrefix(r.reason(), why) {
		t.Errorf("%s; %s", said, r.reason())
	}
	if said := look(roomSaid - time.Second); said != "" {
		t.Errorf("within the minute: %s", said)
	}
	if said := look(time.Second); !strings.Contains(said, why) {
		t.Errorf("after the minute: %s", said)
	}
	broken = errors.ErrUnsupported
	if look(time.Second); r.reason() == "" {
		t.Error("a disk that cannot be measured now is full still")
	}
	space.Free, broken = 200*mib, nil
	if said := look(time.Second); !strings.Contains(said, "there is room again") ||
		r.reason() != "" {
		t.Errorf("with room again: %s, %s", said, r.reason())
	}
	if said := look(2 * roomSaid); said != "" {
		t.Errorf("once: %s", said)
	}
}
