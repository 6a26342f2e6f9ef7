// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/marker"
)

// ErrLost reports a folder of a host that is not the one it has used.
var ErrLost = errors.New("host: a folder is missing or another host's")

// Folders may be disks of their own. Each has a mark with the home's id, and the one
// beside the settings is made last: from then on a folder without the mark is one
// that is not mounted, was moved away or lost, and is no fresh start.
const (
	homeMark   = "config/" + marker.Name
	dataMark   = dataName + "/" + marker.Name
	leavesMark = leavesName + "/" + marker.Name
)

// marked are the folders that a home's id is compared with, what each holds, and what
// an empty one in its place would cost.
var marked = []struct{ mark, holds, cost string }{
	{dataMark, "what machines are owed, and verdicts", "machines would be owed nothing"},
	{leavesMark, "the leaves of the epochs under way", "their commitments could not be opened, " +
		"and the epoch would bring nothing"},
}

// checkMarks compares the marks of a home's folders. The first start makes them, and
// so does one of a home from before there were any. Errors wrap ErrLost.
func checkMarks(home string) error {
	id, err := markOf(filepath.Join(home, homeMark))
	if err != nil {
		return err
	}
	started := id != ""
	var missing []string
	for _, m := range marked {
		path := filepath.Join(home, m.mark)
		have, err := markOf(path)
		switch {
		case err != nil:
			return err
		case have == "" && started:
			return fmt.Errorf("%w: %s is missing, so this is not the folder with %s that this "+
				"host has used: mount it or move it back; if it is lost for good, remove %s and "+
				"start again (%s)",
				ErrLost, path, m.holds, filepath.Join(home, homeMark), m.cost)
		case have == "":
			missing = append(missing, path)
		case id != "" && have != id:
			return fmt.Errorf("%w: %s is another home's than %s: mount this host's own folder "+
				"with %s; to go on with the ones that are there, remove all three .assay-id files",
				ErrLost, path, filepath.Join(home, homeMark), m.holds)
		default:
			id = have
		}
	}
	if started {
		return nil
	}
	if id == "" {
		id = marker.New()
	}
	for _, path := range append(missing, filepath.Join(home, homeMark)) {
		if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("host: %w", err)
		}
		if err := marker.Set(filepath.Dir(path), id); err != nil {
			return fmt.Errorf("host: %w", err)
		}
	}
	return nil
}

// markOf returns the id in a mark, none where there is no such file.
func markOf(path string) (string, error) {
	id, err := marker.ID(filepath.Dir(path))
	if errors.Is(err, marker.ErrStranger) {
		return "", fmt.Errorf("%w: %s is damaged: it should hold the 32 hex digits that the "+
			"other %s files of this home hold; write them into it", ErrLost, path, marker.Name)
	} else if err != nil {
		return "", fmt.Errorf("host: %w", err)
	}
	return id, nil
}
