// SPDX-License-Identifier: Apache-2.0

package home

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/spf13/viper"
)

// unlisted are keys of app.toml that the SDK reads and its structure of settings has not.
var unlisted = []string{"unsafe-skip-upgrades", "trace", "inv-check-period", "cpu-profile",
	"with-comet", "transport", "address",
	"grpc.historical-grpc-address-block-range"}

// open are sections with keys of somebody else's choice.
var openSections = []string{"streaming.", "store.", "telemetry.global-labels"}

// keysOf lists the keys that a structure of settings is read from, in lower case as
// viper has them.
func keysOf(settings any, more ...string) map[string]bool {
	all := map[string]bool{}
	for _, key := range more {
		all[key] = true
	}
	var walk func(t reflect.Type, prefix string)
	walk = func(t reflect.Type, prefix string) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			all[strings.TrimSuffix(prefix, ".")] = true
			return
		}
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("mapstructure"), ",")
			switch {
			case !f.IsExported() || name == "-":
			case options == "squash" || f.Anonymous && name == "":
				walk(f.Type, prefix)
			case name == "":
				walk(f.Type, prefix+strings.ToLower(f.Name)+".")
			default:
				walk(f.Type, prefix+strings.ToLower(name)+".")
			}
		}
	}
	walk(reflect.TypeOf(settings), "")
	return all
}

// onlyKnown refuses a file with a key that nothing reads: a setting that is mistyped
// would be off without a word. Errors wrap ErrHome.
func onlyKnown(path string, text []byte, known map[string]bool) error {
	v := viper.New()
	v.SetConfigType("toml")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrHome, path, err)
	}
	var strange []string
	for _, key := range v.AllKeys() {
		if !known[key] && !slices.ContainsFunc(openSections,
			func(s string) bool { return strings.HasPrefix(key, s) }) {
			strange = append(strange, key)
		}
	}
	if len(strange) == 0 {
		return nil
	}
	slices.Sort(strange)
	perhaps := ""
	if near := nearest(strange[0], known); near != "" {
		perhaps = fmt.Sprintf(" (perhaps %s)", near)
	}
	return fmt.Errorf("%w: %s has keys that do not exist: %s%s; correct or remove them", ErrHome,
		path, strings.Join(strange, ", "), perhaps)
}

// nearest is the known key that somebody may have meant: the same one of another
// section, or one that begins or ends alike.
func nearest(key string, known map[string]bool) string {
	last := func(k string) string { return k[strings.LastIndex(k, ".")+1:] }
	best, most := "", 0
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range known {
			if !yield(k) {
				return
			}
		}
	}) {
		a, b := last(key), last(k)
		score := 0
		for score < min(len(a), len(b)) && a[score] == b[score] {
			score++
		}
		if a == b {
			score += 100
		}
		if strings.TrimSuffix(k, b) == strings.TrimSuffix(key, a) {
			score++
		}
		if score > most && 2*score > max(len(a), len(b)) {
			best, most = k, score
		}
	}
	return best
}

// quotable is a copy whose texts may stand between the quotes of CometBFT's template,
// which escapes nothing.
func quotable(c *cmtcfg.Config) *cmtcfg.Config {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	var copied func(v reflect.Value) reflect.Value
	copied = func(v reflect.Value) reflect.Value {
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				out = reflect.New(v.Type().Elem())
				out.Elem().Set(copied(v.Elem()))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if out.Field(i).CanSet() {
					out.Field(i).Set(copied(v.Field(i)))
				}
			}
		case reflect.String:
			out.SetString(escape.Replace(v.String()))
		}
		return out
	}
	return copied(reflect.ValueOf(c)).Interface().(*cmtcfg.Config)
}
