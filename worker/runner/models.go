// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
)

// ModelsKept is how many models stay in memory: this epoch's, and the last one's for
// samples that are still being checked.
const ModelsKept = 2

// ModelKey names a model. The zero one names none.
type ModelKey struct {
	Class transformer.Class
	Seed1 seed.Seed
}

// Progress of a model's build: bytes of weights, and how long it took.
type Progress struct {
	Done, Total uint64
	Built       bool
	Took        time.Duration
}

// models builds models, one at a time, and keeps the latest. Who needs one
// claims it and releases it; a build that nobody claims any longer is stopped.
type models struct {
	engine  work.Engine
	changed func() // called when a build got on

	building chan struct{} // capacity 1: the build at work
	running  sync.WaitGroup

	mu  sync.Mutex
	all []*claim // by last use, latest last
}

// claim is one model, built or not. Its fields belong to models.mu.
type claim struct {
	key    ModelKey
	users  int
	cancel context.CancelFunc
	state  Progress
	model  transformer.Model
	err    error
}

func newModels(engine work.Engine, changed func()) *models {
	return &models{engine: engine, changed: changed, building: make(chan struct{}, 1)}
}

// claim returns the model's entry, and starts its build when it is new. ctx is
// the worker's.
func (s *models) claim(ctx context.Context, key ModelKey) *claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.all {
		if c.key == key && c.err == nil {
			s.all = append(append(s.all[:i:i], s.all[i+1:]...), c)
			c.users++
			return c
		}
	}
	c := &claim{key: key, users: 1}
	s.all = append(s.all, c)
	s.evict()
	ctx, c.cancel = context.WithCancel(ctx)
	s.running.Go(func() { s.build(ctx, c) })
	return c
}

func (s *models) release(c *claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.users--; c.users == 0 && !c.state.Built {
		c.cancel()
		s.remove(c)
	}
	s.evict()
}

// evict drops what is too much: the least recently used that nobody claims.
func (s *models) evict() {
	for i := 0; i < len(s.all) && len(s.all) > ModelsKept; {
		if c := s.all[i]; c.users == 0 {
			s.remove(c)
			closeModel(c.model)
		} else {
			i++
		}
	}
}

func (s *models) remove(c *claim) {
	for i := range s.all {
		if s.all[i] == c {
			s.all = append(s.all[:i], s.all[i+1:]...)
			return
		}
	}
}

// look returns the state of a claim; model is nil until it is built.
func (s *models) look(c *claim) (transformer.Model, Progress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.model, c.state, c.err
}

func (s *models) build(ctx context.Context, c *claim) {
	defer s.changed()
	defer c.cancel()
	select {
	case s.building <- struct{}{}:
		defer func() { <-s.building }()
	case <-ctx.Done():
		return
	}
	start := time.Now()
	model, err := s.engine.Transformer(ctx, c.key.Class, c.key.Seed1, func(done, total uint64) {
		s.mu.Lock()
		c.state.Done, c.state.Total = done, total
		s.mu.Unlock()
		s.changed()
	})
	took := time.Since(start)
	// Memory rots and drivers break: the engine is proved again for every model.
	if err == nil {
		if err = work.SelfTest(ctx, s.engine); err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", ErrSelfTest, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && c.users == 0: // given up meanwhile
		closeModel(model)
	case err == nil:
		c.model = model
		c.state.Built, c.state.Took = true, took
	default:
		if model != nil {
			closeModel(model)
		}
		c.err = err
		s.remove(c) // the next claim tries again
	}
}

// close waits for builds that the worker's context ended, and frees all models.
func (s *models) close() {
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.all {
		closeModel(c.model)
	}
	s.all = nil
}

// closeModel frees a device's memory where the model holds some.
func closeModel(m transformer.Model) {
	if c, ok := m.(io.Closer); ok {
		_ = c.Close()
	}
}
