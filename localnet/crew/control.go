// SPDX-License-Identifier: Apache-2.0

package crew

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/sealed"
)

// ControlFile says where the network of a folder takes commands, and the word that shows that one
// may read the folder: any program of this machine can reach the port.
const ControlFile = "localnet.control"

// controlVersion is that of ControlFile.
const controlVersion = "assay-localnet-control/1"

// controlTime is how long a command may take: as long as a process that does not end.
const controlTime = stopTime + 5*time.Second

type control struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

type request struct {
	Token string   `json:"token"`
	Do    string   `json:"do"` // kill or heal
	Words []string `json:"words"`
}

type answer struct {
	Lines []string `json:"lines"`
	Error string   `json:"error"`
}

// Serve takes the commands of Ask for the network of a folder, until ctx ends.
func (c *Crew) Serve(ctx context.Context, home string) error {
	var token [16]byte
	if _, err := rand.Read(token[:]); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("localnet: a port for commands: %w", err)
	}
	mine := control{l.Addr().String(), hex.EncodeToString(token[:])}
	raw, err := sealed.Marshal(controlVersion, mine)
	if err == nil {
		err = durable.WriteFile(filepath.Join(home, ControlFile), raw, 0o600)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.attend(conn, mine.Token)
		}
	}()
	return nil
}

// attend answers one request.
func (c *Crew) attend(conn net.Conn, token string) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(controlTime))
	var r request
	var a answer
	err := json.NewDecoder(io.LimitReader(conn, 4096)).Decode(&r)
	switch {
	case err != nil || subtle.ConstantTimeCompare([]byte(r.Token), []byte(token)) != 1:
		err = errors.New("localnet: not a command of this network")
	case r.Do == "kill":
		a.Lines, err = c.Kill(r.Words)
	case r.Do == "heal":
		a.Lines, err = c.HealAll(r.Words)
	default:
		err = fmt.Errorf("localnet: no command %q", r.Do)
	}
	if err != nil {
		a.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(a)
}

// ErrNotRunning reports a folder whose network does not run.
var ErrNotRunning = errors.New("no local network runs")

// Ask has the network that runs in a folder kill or heal. Errors wrap ErrNotRunning where none
// does.
func Ask(ctx context.Context, home, do string, words []string) (lines []string, err error) {
	conn, token, err := dial(ctx, home)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(controlTime))
	var a answer
	if err := json.NewEncoder(conn).Encode(request{token, do, words}); err != nil {
		return nil, fmt.Errorf("localnet: %s: %w", do, err)
	}
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return nil, fmt.Errorf("localnet: %s: the network in %s gave no answer: %w", do, home, err)
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	return a.Lines, nil
}

// dial connects to the network that runs in a folder.
func dial(ctx context.Context, home string) (net.Conn, string, error) {
	var c control
	raw, err := os.ReadFile(filepath.Join(home, ControlFile))
	if err == nil {
		err = sealed.Unmarshal(raw, controlVersion, &c)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("localnet: %w in %s: start it with assay localnet --home %s",
			ErrNotRunning, home, home)
	} else if err != nil {
		return nil, "", fmt.Errorf("localnet: %s: %w; stop the network and start it again, which "+
			"writes it again", filepath.Join(home, ControlFile), err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, "", fmt.Errorf("localnet: %w in %s any longer: go on with assay localnet "+
			"--home %s", ErrNotRunning, home, home)
	}
	return conn, c.Token, nil
}

// Running finds the networks that run in folders below dir whose names begin with prefix.
func Running(ctx context.Context, dir, prefix string) (homes []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		home := filepath.Join(dir, e.Name())
		if conn, _, err := dial(ctx, home); err == nil {
			_ = conn.Close()
			homes = append(homes, home)
		}
	}
	return homes
}
