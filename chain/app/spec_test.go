// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	sdkmath "cosmossdk.io/math"

	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/collateral"
	"github.com/assaynet/assay/chain/x/court"
	"github.com/assaynet/assay/chain/x/credit"
	"github.com/assaynet/assay/chain/x/registry"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/chain/x/stream"
)

// specRow is a row of a table of docs/spec whose first cell is code.
var specRow = regexp.MustCompile("^\\| `([^`]+)` \\|(.*)\\|$")

// specTable reads the cells of such rows behind a rule's begin, by the first one.
func specTable(t *testing.T, page, rule string) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../docs/spec", page))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(raw), "**"+rule+". ")
	if !found {
		t.Fatalf("%s has no rule %s", page, rule)
	}
	text, _, _ = strings.Cut(text, "\n**")
	rows := map[string][]string{}
	for _, line := range strings.Split(text, "\n") {
		if m := specRow.FindStringSubmatch(line); m != nil {
			var cells []string
			for _, c := range strings.Split(m[2], "|") {
				cells = append(cells, strings.TrimSpace(c))
			}
			rows[m[1]] = cells
		}
	}
	return rows
}

// fields are a struct's parameters by their names in protobuf and JSON.
func fields(params any) map[string]reflect.Value {
	v := reflect.ValueOf(params).Elem()
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		out[name] = v.Field(i)
	}
	return out
}

// assign writes a number into a parameter; false where it does not fit.
func assign(f reflect.Value, n *big.Int) bool {
	switch {
	case f.Type() == reflect.TypeFor[sdkmath.Int]():
		f.Set(reflect.ValueOf(sdkmath.NewIntFromBigInt(n)))
	case f.Kind() == reflect.String:
		f.SetString(n.String())
	case f.CanUint():
		if n.Sign() < 0 || !n.IsUint64() || f.OverflowUint(n.Uint64()) {
			return false
		}
		f.SetUint(n.Uint64())
	default:
		panic(f.Type())
	}
	return true
}

// The tables of parameters are those of the code: names, what networks begin with, and bounds.
// Holds spec S-30, J-9, P-14, E-11, K-7, R-14, T-10.
func TestTheTablesOfParametersAreTheCodes(t *testing.T) {
	held(t, "S-30 of sprint.md", specTable(t, "sprint.md", "S-30"), sprint.DefaultParams,
		sprint.LocalnetParams, sprint.ValidateParams)
	held(t, "J-9 of court.md", specTable(t, "court.md", "J-9"), court.DefaultParams,
		court.LocalnetParams, court.ValidateParams)
	rails := specTable(t, "power.md", "P-14")
	maps.Copy(rails, specTable(t, "money.md", "E-11"))
	held(t, "P-14 of power.md or E-11 of money.md", rails, credit.DefaultParams,
		credit.LocalnetParams, credit.ValidateParams)
	held(t, "K-7 of collateral.md", specTable(t, "collateral.md", "K-7"), collateral.DefaultParams,
		collateral.LocalnetParams, collateral.ValidateParams)
	held(t, "T-10 of stream.md", specTable(t, "stream.md", "T-10"), stream.DefaultParams,
		stream.LocalnetParams, stream.ValidateParams)
	held(t, "R-14 of registry.md", specTable(t, "registry.md", "R-14"), registry.DefaultParams,
		registry.LocalnetParams, registry.ValidateParams)
}

func held[P any](t *testing.T, rule string, rows map[string][]string, main, local func() P,
	validate func(P) error) {
	t.Helper()
	m, l := main(), local()
	onMain, onLocal := fields(&m), fields(&l)
	if len(rows) != len(onMain) {
		t.Errorf("%s has %d parameters, the code %d", rule, len(rows), len(onMain))
	}
	for name, f := range onMain {
		cells := rows[name]
		if len(cells) != 4 {
			t.Errorf("%s lacks a row of four cells for %s", rule, name)
			continue
		}
		if got := fmt.Sprint(f.Interface()); got != cells[0] {
			t.Errorf("%s: %s begins with %s on main, %s in the table", rule, name, got, cells[0])
		}
		if got := fmt.Sprint(onLocal[name].Interface()); got != cells[1] {
			t.Errorf("%s: %s begins with %s on localnet, %s in the table",
				rule, name, got, cells[1])
		}
		low, high, numbers := strings.Cut(cells[2], "..")
		if !numbers {
			continue // a switch; or the class: spec S-29 has its own test
		}
		for _, c := range []struct {
			bound  string
			beyond int64
		}{{low, -1}, {high, 1}} {
			at, ok := new(big.Int).SetString(c.bound, 10)
			if !ok {
				t.Errorf("%s: %s: %q is no number", rule, name, c.bound)
				continue
			}
			// At the bound nothing is said about this field; what it is to others has rules of its
			// own.
			p := main()
			assign(fields(&p)[name], at)
			if err := validate(p); err != nil &&
				strings.Contains(err.Error(), name+" "+at.String()+" is outside") {
				t.Errorf("%s: %s may not be %s: %v", rule, name, at, err)
			}
			beyond := new(big.Int).Add(at, big.NewInt(c.beyond))
			p = main()
			if !assign(fields(&p)[name], beyond) {
				continue
			}
			if err := validate(p); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %s may be %s: %v", rule, name, beyond, err)
			}
		}
	}
}

// The table of duties: spec R-8.
func TestTheTableOfDutiesIsTheCodes(t *testing.T) {
	rows := specTable(t, "registry.md", "R-8")
	for _, k := range sprintv1.DutyKinds() {
		name := k.URL[strings.LastIndex(k.URL, ".")+1:]
		if cells := rows[name]; len(cells) != 3 || cells[2] != fmt.Sprint(k.Bytes) {
			t.Errorf("%s takes at most %d bytes; the table has %q", name, k.Bytes, cells)
		}
		delete(rows, name)
	}
	if len(rows) > 0 {
		t.Errorf("no duties: %v", rows)
	}
}
