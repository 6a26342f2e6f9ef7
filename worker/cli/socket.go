// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/monitor"
)

// socketFile is where the worker of a home answers commands of this machine's
// owner: it serves what --listen does, to this user only.
const socketFile = "worker.sock"

// socketTime is how often the socket is checked, and made again where it is gone.
const socketTime = time.Second

// answer serves a running worker's status on the socket of its home, which this process holds,
// until ctx ends. A socket that cannot be made, that somebody removed, or that takes no connections
// any longer is made again. tell gets the reason, once while it stays the same, and nil when the
// socket is back.
func answer(ctx context.Context, beside *errgroup.Group, home string, get func() worker.Status,
	pause func(bool), tell func(error)) {
	s, err := listen(home) // before the first event is told, as its reader may ask at once
	beside.Go(func() error {
		tick := time.NewTicker(socketTime)
		defer tick.Stop()
		for told := ""; ; s, err = listen(home) {
			if err == nil {
				if told != "" {
					tell(nil)
					told = ""
				}
				err = s.serve(ctx, tick.C, get, pause)
			}
			if ctx.Err() != nil {
				return nil
			}
			if err.Error() != told {
				tell(err)
				told = err.Error()
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// socket is one that was made.
type socket struct {
	net.Listener
	path string
	file fs.FileInfo // of path, to know it again
}

// listen makes the socket of a home, in the place of one that a killed worker left.
func listen(home string) (s socket, err error) {
	s.path = filepath.Join(home, socketFile)
	if err := short(s.path); err != nil {
		return s, err
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if s.Listener, err = net.Listen("unix", s.path); err != nil {
		return s, err
	}
	if err = os.Chmod(s.path, 0o600); err == nil {
		s.file, err = os.Lstat(s.path)
	}
	if err != nil {
		return s, errors.Join(err, s.Close())
	}
	return s, nil
}

// errGone reports a socket that was removed or replaced.
var errGone = errors.New("its socket was removed; it is made again")

// serve answers until ctx ends or the socket is not the one that was made.
func (s socket) serve(ctx context.Context, tick <-chan time.Time, get func() worker.Status,
	pause func(bool)) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- monitor.Serve(serving, s, get, pause) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick:
		}
		if file, err := os.Lstat(s.path); err == nil && os.SameFile(file, s.file) {
			continue
		}
		stop()
		return errors.Join(errGone, <-ended)
	}
}

// longest is how long the path of a socket may be, in bytes: 108 with a zero byte on Linux, 104 on
// macOS and the BSDs.
func longest() int {
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		return 107
	}
	return 103
}

// short refuses the path of a socket that no system takes.
func short(path string) error {
	if most := longest(); len(path) > most {
		return fmt.Errorf("the path of its socket, %s, has %d bytes, and a socket's may have %d: "+
			"use a shorter --home, or a link to this one (ln -s)", path, len(path), most)
	}
	return nil
}
