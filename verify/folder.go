// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/verify/leaves"
)

// ErrFolder reports a folder with a file that does not prove its claim, or with
// none to check.
var ErrFolder = errors.New("verify: the folder does not hold")

// Sum is the answer about a folder, as --json prints it after those about its files.
type Sum struct {
	Folder string `json:"folder"`
	Files  int    `json:"files"`
	Proven int    `json:"proven_files"`
	// Taken are those that hold, but stand on what was taken from them (ErrTaken).
	Taken int `json:"taken_files"`
	// Long are those that were not checked (TooLong).
	Long   int            `json:"too_long_files"`
	Claims map[string]int `json:"claims"` // proven ones, by kind and claim
	// Ops and Pay are what proven receipts credit together.
	Ops string `json:"ops"`
	Pay string `json:"pay"` // acpc
	// Skipped are files with another ending.
	Skipped int `json:"skipped"`
}

// folder checks every file in a folder that ends in .json. Folders below it are
// left alone.
func folder(ctx context.Context, engine work.Engine, path string, by against, full, asJSON bool,
	out io.Writer) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	s := Sum{Folder: path, Claims: map[string]int{}}
	ops, pay := new(big.Int), new(big.Int)
	var long *TooLong
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir():
			continue
		case filepath.Ext(name) != ".json":
			s.Skipped++
			continue
		}
		s.Files++
		r := look(ctx, engine, name, by, full)
		if asJSON && r.report != nil {
			if err := encode(out, r.report); err != nil {
				return err
			}
		}
		if errors.Is(r.err, ErrTaken) {
			s.Taken++
			if !asJSON {
				fmt.Fprintf(out, "NOT PROVEN  %s: holds, but key and seeds are taken from the "+
					"file: add --node or --trust\n", name)
			}
			continue
		}
		if errors.As(r.err, &long) {
			s.Long++
			if !asJSON {
				fmt.Fprintf(out, "NOT CHECKED %s: %v\n", name, r.err)
			}
			continue
		}
		if r.err != nil {
			if !asJSON {
				fmt.Fprintf(out, "NOT PROVEN  %s: %v\n", name, r.err)
			}
			continue
		}
		s.Proven++
		switch of := r.of; {
		case of.Kind == "receipt":
			s.Claims["receipt: "+of.Claim]++
			ops.Add(ops, new(big.Int).SetUint64(of.Ops))
			pay.Add(pay, mpoc.Amount(of.Pay).Big())
		case of.Kind == "transfer":
			s.Claims["transfer: "+of.Claim]++
		case of.Kind != "":
			s.Claims["evidence: "+of.Claim]++
		default:
			switch of := r.report.(type) {
			case Report:
				s.Claims["evidence: "+of.Claim]++
			case leaves.Report:
				s.Claims[of.Kind+": "+of.Claim]++
			}
		}
	}
	s.Ops, s.Pay = ops.String(), pay.String()
	if asJSON {
		err = encode(out, s)
	} else {
		var parts []string
		for _, claim := range slices.Sorted(maps.Keys(s.Claims)) {
			parts = append(parts, fmt.Sprintf("%s %d", claim, s.Claims[claim]))
		}
		fmt.Fprintf(out, "%s: %d of %d files prove their claim", path, s.Proven, s.Files)
		if len(parts) > 0 {
			fmt.Fprintf(out, " (%s)", strings.Join(parts, ", "))
		}
		fmt.Fprintln(out)
		if ops.Sign() > 0 {
			fmt.Fprintf(out, "  receipts credit %s operations and %s acpc together (10^18 to a "+
				"CPC)\n", s.Ops, s.Pay)
		}
		if s.Skipped > 0 {
			fmt.Fprintf(out, "  %d other files, which do not end in .json, were not looked at\n",
				s.Skipped)
		}
	}
	if err == nil && s.Files == 0 {
		return fmt.Errorf("%w: %s has no file that ends in .json; folders below it are checked "+
			"by their own names (a worker's: receipts, devices/*/receipts, devices/*/evidence)",
			ErrFolder, path)
	}
	switch {
	case err != nil || s.Proven == s.Files:
	case s.Long > 0 && s.Proven+s.Taken+s.Long == s.Files:
		err = fmt.Errorf("%s: %d of %d files, the last one: %w", path, s.Long, s.Files, long)
	case s.Proven+s.Taken == s.Files:
		err = fmt.Errorf("%s: %d of %d files: %w", path, s.Taken, s.Files, ErrTaken)
	default:
		err = fmt.Errorf("%w: %d of %d files in %s prove their claim", ErrFolder,
			s.Proven, s.Files, path)
	}
	return err
}
