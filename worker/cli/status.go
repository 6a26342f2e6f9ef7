// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/assaynet/assay/worker"
	"github.com/assaynet/assay/worker/screen"
)

// errNotRunning reports a home that no worker has.
var errNotRunning = errors.New("no worker runs")

// call asks the worker of a home.
func call(ctx context.Context, home, method, path, body string) ([]byte, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(home, socketFile))
		},
	}}
	q, err := http.NewRequestWithContext(ctx, method, "http://worker"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if err := short(filepath.Join(home, socketFile)); err != nil {
		return nil, err
	}
	a, err := client.Do(q)
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		return nil, fmt.Errorf("%w on %s; start one, or name another --home", errNotRunning, home)
	case err != nil:
		return nil, fmt.Errorf("the worker of %s does not answer: %w", home, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 4<<20))
	if err == nil && a.StatusCode >= 300 {
		err = fmt.Errorf("the worker of %s answers %s: %s", home, a.Status, text)
	}
	return text, err
}

func (c Command) status(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := c.flags("status", stderr)
	home := homeFlag(f)
	asJSON := f.Bool("json", false, "print JSON")
	if err := parse(f, args); err != nil {
		return err
	}
	s, text, err := c.running(ctx, *home)
	if err != nil {
		return err
	}
	if *asJSON {
		_, err = stdout.Write(text)
		return err
	}
	_, err = fmt.Fprintln(stdout, screen.Text(s, width(stdout), time.Now()))
	return err
}

// pause is the owner's word for the worker that runs.
func (c Command) pause(ctx context.Context, name string, args []string, stdout,
	stderr io.Writer) error {
	f := c.flags(name, stderr)
	home := homeFlag(f)
	if err := parse(f, args); err != nil {
		return err
	}
	before, _, err := c.running(ctx, *home)
	if err != nil {
		return err
	}
	if _, err := call(ctx, *home, http.MethodPut, "/paused",
		fmt.Sprint(name == "pause")); err != nil {
		return err
	}
	now := time.Now().Format(time.TimeOnly)
	since := before.Paused
	if at, err := time.Parse(time.RFC3339, since); err == nil {
		since = at.Local().Format(time.TimeOnly)
	}
	switch {
	case name == "resume" && since == "":
		_, err = fmt.Fprintln(stdout, "it was not paused")
	case name == "resume":
		_, err = fmt.Fprintf(stdout, "resumed at %s; it was paused at %s\n", now, since)
	case since != "":
		_, err = fmt.Fprintf(stdout, "paused already, at %s; %s resume --home %s goes on\n",
			since, c.Name, *home)
	default:
		_, err = fmt.Fprintf(stdout, "paused at %s; %s resume --home %s goes on\n",
			now, c.Name, *home)
	}
	return err
}

// running is the status of the worker of a home, and its text as JSON.
func (c Command) running(ctx context.Context, home string) (s worker.Status,
	text []byte, err error) {
	text, err = call(ctx, home, http.MethodGet, "/status", "")
	if err != nil {
		return s, nil, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, nil, fmt.Errorf("the status of %s: %w", home, err)
	}
	return s, text, nil
}

// width is that of the terminal behind w, or a page's.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns >= 20 {
			return columns
		}
	}
	return 100
}
