// SPDX-License-Identifier: Apache-2.0

// Package build says which program this is, as the Go toolchain recorded it.
package build

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Info is a program's origin. What the build did not record is "unknown".
type Info struct {
	// Version is the module's, such as v1.2.0; (devel) where it was built from a folder without
	// version control.
	Version string `json:"version"`
	// Commit is the revision in hex, with "+changes" where the folder held more than that.
	Commit string `json:"commit"`
	// Go is the toolchain, System the platform it was built for.
	Go     string `json:"go"`
	System string `json:"system"`
}

// Read is the running program's.
func Read() Info {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return read(info)
}

func read(from *debug.BuildInfo) Info {
	i := Info{Version: from.Main.Version, Commit: "unknown", Go: runtime.Version(),
		System: runtime.GOOS + "/" + runtime.GOARCH}
	if i.Version == "" {
		i.Version = "unknown"
	}
	changed := false
	for _, s := range from.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	if changed {
		i.Commit += "+changes"
	}
	return i
}

func (i Info) String() string {
	return fmt.Sprintf("%s, commit %s, %s, %s", i.Version, i.Commit, i.Go, i.System)
}

// Dependency is the version of a module that the program was built with, "unknown" where the build
// did not record it.
func Dependency(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path != path {
				continue
			}
			if d.Replace != nil {
				d = d.Replace
			}
			return d.Version
		}
	}
	return "unknown"
}
