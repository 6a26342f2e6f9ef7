// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"fmt"
	"sync"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// NewEngine judges leaves with a work engine; it keeps the model of the last Seed_1, because a quarrel rarely comes alone.
func NewEngine(e work.Engine) Engine { return &cachedEngine{engine: e} }

type cachedEngine struct {
	engine work.Engine

	mu    sync.Mutex // guards what follows; the chain judges one leaf at a time, queries may run beside it
	seed1 seed.Seed
	model transformer.Model
}

func (c *cachedEngine) Unit(ctx context.Context, class transformer.Class, seed1, node, segment seed.Seed, nonce uint64) (transformer.Output, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.model == nil || c.seed1 != seed1 || c.model.Class() != class {
		model, err := c.engine.Transformer(ctx, class, seed1, nil)
		if err != nil {
			return transformer.Output{}, fmt.Errorf("sprint: model of class %s: %w", class.Name, err)
		}
		c.seed1, c.model = seed1, model
	}
	var out [1]transformer.Output
	if err := c.model.Run(out[:], node, segment, []uint64{nonce}); err != nil {
		return transformer.Output{}, err
	}
	return out[0], nil
}
