// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"cosmossdk.io/log/v2"
	"github.com/cometbft/cometbft/p2p"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/plain"
)

// Buckets of CometBFT's address book.
const (
	newBuckets = 256
	oldBuckets = 64
	newBucket  = 1
	oldBucket  = 2
)

// checkPeers puts an address book aside that CometBFT would panic over, or hang: it is a cache,
// and peers are learned again.
func checkPeers(path string, logger log.Logger) error {
	text, err := plain.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, plain.ErrKind):
		return fmt.Errorf("%w: %w; move it away, and peers are learned again", ErrNode, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNode, err)
	}
	why := damagedPeers(text)
	if why == nil {
		return nil
	}
	aside := path + ".damaged"
	if err := durable.Rename(path, aside); err != nil {
		return fmt.Errorf("%w: %s is damaged (%w) and cannot be moved away: %w",
			ErrNode, path, why, err)
	}
	logger.Warn("the address book is damaged and put aside; peers are learned again",
		"path", aside, "err", why)
	return nil
}

func damagedPeers(text []byte) error {
	var book struct { // of the types that CometBFT reads: what does not fit them is a panic there
		Key   string `json:"key"`
		Addrs []*struct {
			Addr       *p2p.NetAddress `json:"addr"`
			Src        *p2p.NetAddress `json:"src"`
			Buckets    []int           `json:"buckets"`
			Attempts   int32           `json:"attempts"`
			BucketType byte            `json:"bucket_type"`
			Attempted  time.Time       `json:"last_attempt"`
			Succeeded  time.Time       `json:"last_success"`
			Banned     time.Time       `json:"last_ban_time"`
		} `json:"addrs"`
	}
	if err := json.Unmarshal(text, &book); err != nil {
		return err
	}
	seen := map[p2p.ID]bool{}
	for i, a := range book.Addrs {
		if a == nil || a.Addr == nil || a.Addr.IP == nil || a.Src == nil {
			return fmt.Errorf("address %d is incomplete", i)
		}
		// Each is counted, and looked for in its buckets: one that is counted and in none is looked
		// for without end.
		if len(a.Buckets) == 0 {
			return fmt.Errorf("address %d is in no bucket", i)
		}
		if seen[a.Addr.ID] {
			return fmt.Errorf("address %d is of node %s, as another one is", i, a.Addr.ID)
		}
		seen[a.Addr.ID] = true
		most, known := map[byte]int{newBucket: newBuckets, oldBucket: oldBuckets}[a.BucketType]
		if !known {
			return fmt.Errorf("address %d is in buckets of type %d", i, a.BucketType)
		}
		for _, b := range a.Buckets {
			if b < 0 || b >= most {
				return fmt.Errorf("address %d is in bucket %d of %d", i, b, most)
			}
		}
	}
	return nil
}
