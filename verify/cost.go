// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/matmul"
	"github.com/assaynet/assay/poc/work/transformer"
)

// A file says itself how much there is to compute again, and may come from anybody: what takes longer than this, or more
// memory, is done only when it is asked for (--full).
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
	text := fmt.Sprintf("not checked: it computes %s, which takes about %s on this machine", e.What, about(e.Takes))
	if e.Weights > mostWeights {
		text += fmt.Sprintf(" and %.1f GB of memory", float64(e.Weights)/1e9)
	}
	return text + "; add --full to have it checked"
}

// ExitCode is that of a program that ends with TooLong.
func (*TooLong) ExitCode() int { return 3 }

// about rounds a duration to what a person plans with.
func about(d time.Duration) string {
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

// affordable reports by TooLong that a check takes longer than one waits unasked. What is no document of ours costs
// nothing: the check says what it is.
func affordable(ctx context.Context, engine work.Engine, raw []byte) error {
	var head struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(raw, &head) != nil {
		return nil
	}
	switch head.Version {
	case mpoc.ReceiptVersion:
		if r, err := mpoc.ParseReceipt(raw); err == nil {
			return tiles(ctx, r.Terms.Shape.Matmul(), len(r.WrongTiles), len(r.WrongSamples))
		}
	case mpoc.EvidenceVersion:
		if e, err := mpoc.Parse(raw); err == nil && e.Tile != nil {
			return tiles(ctx, e.Terms.Terms.Shape.Matmul(), 1, 0)
		} else if err == nil && e.Sample != nil {
			return tiles(ctx, e.Terms.Terms.Shape.Matmul(), 0, 1)
		}
	case delivery.EvidenceVersion:
		if e, err := delivery.Parse(raw); err == nil {
			return units(ctx, work.Reference(), e.Order.Class, len(e.Wrong))
		}
	case delivery.LeftOutVersion:
		var f delivery.LeftOutFile
		if document.Parse(raw, &f, 2*delivery.MaxFileSize) == nil && f.Evidence != nil {
			return units(ctx, work.Reference(), f.Evidence.Order.Class, len(f.Evidence.Wrong))
		}
	case evidence.Version, evidence.Version1:
		if f, err := evidence.Parse(raw); err == nil {
			return units(ctx, engine, f.Class, 1)
		}
	}
	return nil
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
	return &TooLong{What: fmt.Sprintf("%s of %d x %d x %d by the plain definition", count(whole, "product"), shape.M, shape.K, shape.Q), Takes: takes}
}

// units measures the smallest class: the time to build a model goes with its size, that of a unit with its operations.
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
	if err := model.Run(make([]transformer.Output, 1), seed.Seed{}, seed.Seed{}, []uint64{0}); err != nil {
		return err
	}
	takes := time.Duration(float64(built)*float64(class.WeightBytes())/float64(probe.WeightBytes()) +
		float64(time.Since(began))*float64(class.Ops())/float64(probe.Ops())*float64(n))
	if takes <= longest && class.WeightBytes() <= mostWeights {
		return nil
	}
	return &TooLong{What: fmt.Sprintf("%s of class %s", count(n, "unit"), class.Name), Takes: takes, Weights: class.WeightBytes()}
}
