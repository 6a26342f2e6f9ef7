// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A file says itself how much there is to compute again, and may come from anybody: what takes
// longer than this, or more memory, is done only when it is asked for (--full).
const (
	longest     = 10 * time.Second
	mostWeights = 2 << 30 // bytes of a model
	// unmeasured operations take a second or two on any machine
	unmeasured = 1 << 33
)

// TooLong reports a file that was not checked, because that takes longer than anybody asked for.
type TooLong struct {
	What    string        // is to be computed
	Takes   time.Duration // about, on this machine
	Weights uint64        // bytes of memory
}

func (e *TooLong) Error() string {
	text := fmt.Sprintf("not checked: it computes %s, which takes about %s on this machine",
		e.What, roughly(e.Takes))
	if e.Weights > mostWeights {
		text += fmt.Sprintf(" and %.1f GB of memory", float64(e.Weights)/1e9)
	}
	return text + "; add --full to have it checked"
}

// ExitCode is that of a program that ends with TooLong.
func (*TooLong) ExitCode() int { return 3 }

// roughly rounds a duration to what a person plans with.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// affordable reports by TooLong that a check takes longer than one waits unasked.
func affordable(ctx context.Context, engine work.Engine, c poc.Cost) error {
	switch {
	case c.Work == "":
		return nil
	case c.Work == work.Matmul.Name():
		shape, err := matmul.ParseShape(c.Spec)
		if err != nil {
			return err
		}
		return tiles(ctx, shape, c.Tiles, c.Units)
	case c.Plain:
		engine = work.Reference()
	}
	return units(ctx, engine, c.Spec, c.Units)
}

// tiles measures one tile by the definition, which checks these files.
func tiles(ctx context.Context, shape matmul.Shape, single, whole int) error {
	if shape.Valid() != nil || shape.Ops()*uint64(whole) <= unmeasured {
		return nil
	}
	began := time.Now()
	if _, err := mpoc.Reference().Tile(ctx, seed.Seed{}, shape, 0, 0); err != nil {
		return err
	}
	takes := time.Since(began) * time.Duration(single+whole*shape.Tiles())
	if takes <= longest {
		return nil
	}
	return &TooLong{What: fmt.Sprintf("%s of %d x %d x %d by the plain definition",
		count(whole, "product"), shape.M, shape.K, shape.Q), Takes: takes}
}

// units measures the smallest class: the time to build a model goes with its size, that of a unit
// with its operations.
func units(ctx context.Context, engine work.Engine, name string, n int) error {
	class, err := transformer.ByName(name)
	if err != nil || class.Ops()*uint64(n) <= unmeasured {
		return nil
	}
	probe := transformer.Nano
	began := time.Now()
	model, err := engine.Transformer(ctx, probe, seed.Seed{}, nil)
	if err != nil {
		return err
	}
	built := time.Since(began)
	began = time.Now()
	if err := model.Run(make([]transformer.Output, 1), seed.Seed{}, seed.Seed{},
		[]uint64{0}); err != nil {
		return err
	}
	takes := time.Duration(float64(built)*float64(class.WeightBytes())/float64(
		probe.WeightBytes()) +
		float64(time.Since(began))*float64(class.Ops())/float64(probe.Ops())*float64(n))
	if takes <= longest && class.WeightBytes() <= mostWeights {
		return nil
	}
	return &TooLong{What: fmt.Sprintf("%s of class %s", count(n, "unit"), class.Name), Takes: takes,
		Weights: class.WeightBytes()}
}
