// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"

	"cosmossdk.io/log/v2"

	"github.com/assaynet/assay/internal/disk"
)

const (
	// roomEvery is how often the disk is measured, and roomSaid how often a nearly full
	// one is logged.
	roomEvery = 5 * time.Second
	roomSaid  = time.Minute
)

// room says that the node's disk is nearly full before it is full, when the node ends.
// It refuses nothing: what a node writes is blocks, which are owed.
type room struct {
	disk   *disk.Watch
	logger log.Logger
	said   time.Time // zero: nothing to take back
	blind  bool      // that the room is not known was said
}

func newRoom(dir string, of func(string) (disk.Space, error), logger log.Logger) *room {
	return &room{disk: disk.NewWatch(dir, of), logger: logger}
}

// run measures until ctx ends.
func (r *room) run(ctx context.Context) {
	ticker := time.NewTicker(roomEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.look(time.Now())
		}
	}
}

// look measures once.
func (r *room) look(now time.Time) {
	low, _, err := r.disk.Look()
	switch {
	case err != nil && !r.blind:
		r.blind = true
		r.logger.Warn("the free space is not known; a full disk ends the node without a warning",
			"err", err)
	case low && (r.said.IsZero() || now.Sub(r.said) >= roomSaid):
		r.said = now
		r.logger.Error("the disk is nearly full", "reason", r.reason())
	case !low && !r.said.IsZero():
		r.said = time.Time{}
		r.logger.Info("there is room again", "free", disk.Size(r.disk.Space().Free))
	}
}

// reason is for people; it is empty while there is room.
func (r *room) reason() string {
	return r.disk.Warning(
		"a node whose disk is full ends, and goes on when it is started with room")
}
