// SPDX-License-Identifier: Apache-2.0

package build

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	system := runtime.GOOS + "/" + runtime.GOARCH
	for name, c := range map[string]struct {
		from debug.BuildInfo
		want Info
	}{
		"a release": {debug.BuildInfo{Main: debug.Module{Version: "v1.2.0"},
			Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"},
				{Key: "vcs.modified", Value: "false"}}},
			Info{"v1.2.0", "abc", runtime.Version(), system}},
		"a changed folder": {debug.BuildInfo{Main: debug.Module{Version: "(devel)"},
			Settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "true"},
				{Key: "vcs.revision", Value: "abc"}}},
			Info{"(devel)", "abc+changes", runtime.Version(), system}},
		"nothing recorded": {debug.BuildInfo{},
			Info{"unknown", "unknown", runtime.Version(), system}},
	} {
		if got := read(&c.from); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if text := Read().String(); !strings.Contains(text, runtime.Version()) ||
		!strings.Contains(text, "commit ") {
		t.Error(text)
	}
}
