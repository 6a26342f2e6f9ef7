// SPDX-License-Identifier: Apache-2.0

// Package cli is `assay host`: run the daemon, look at it, allow a machine, register the
// participant.
package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/fleet"
	"github.com/assaynet/assay/host/screen"
	"github.com/assaynet/assay/internal/logs"
	"github.com/assaynet/assay/internal/terminal"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/work"
)

// HostKeyFile is where a participant's host key lies below its home.
const HostKeyFile = "config/host.key"

// New returns the command. fast finds the engine that double-checks what workers find before the
// definition is asked; tamper is nil but for adversaries, which a local network asks for by name.
func New(fast func(context.Context) work.Engine,
	tamper func(cheat string) (*host.Tamper, error)) *cobra.Command {
	home, json := "", false
	cmd := &cobra.Command{
		Use:   "host",
		Short: "Run a participant's host: workers, commitments, openings, verdicts",
		Args:  cobra.NoArgs,
	}
	cmd.PersistentFlags().StringVar(&home, "home", defaultHome(), "the participant's `folder`, "+
		"as made by: assay init participant")
	cmd.Flags().BoolVar(&json, "json", false, "log as JSON, one document per line; the same as "+
		"--log-format json")
	level := cmd.Flags().String("log", "info", "log level: debug, info, warn or error")
	format := cmd.Flags().String("log-format", logs.Text, logs.Formats)
	plain := cmd.Flags().Bool("plain", false, "print log lines on a terminal too, not the "+
		"screen; elsewhere they are printed anyway")
	offer := cmd.Flags().Bool("pool", false, "offer challenges to the machines of strangers, for "+
		"pay; section [pool] of host.toml has the terms")
	cheat := cmd.Flags().String("cheat", "none", "be an adversary (local networks and tests only)")
	_ = cmd.Flags().MarkHidden("cheat")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, key, err := load(home)
		if err != nil {
			return err
		}
		if json {
			*format = logs.JSON
		}
		to := func(w io.Writer) (*slog.Logger, error) { return logs.New(w, *level, *format) }
		logger, err := to(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		bend, err := tamper(*cheat)
		if err != nil {
			return err
		}
		fleet.Threads()
		o := host.Options{Home: home, HostKey: key, Stdin: cmd.InOrStdin(), Logger: logger,
			Engine: fast(cmd.Context()), Pool: *offer, Tamper: bend}
		if d, ok := displayOf(cmd); ok && !*plain && !json {
			return d.onScreen(cmd.Context(), c, o, cmd.ErrOrStderr(), to)
		}
		o.Started = func(url, status string) {
			logger.Info("workers connect with: assay-worker start --host "+url, "status", status)
		}
		return host.Run(cmd.Context(), c, o)
	}
	cmd.AddCommand(statusCommand(&home), allowCommand(&home), registerCommand(&home),
		rotateCommand(&home), urlCommand(&home), poolCommand(&home), paymentsCommand(&home),
		checkCommand(&home))
	return cmd
}

func defaultHome() string {
	if h := os.Getenv("ASSAY_HOME"); h != "" {
		return h
	}
	if user, err := os.UserHomeDir(); err == nil {
		return filepath.Join(user, ".assay")
	}
	return ".assay"
}

func load(home string) (host.Config, ed25519.PrivateKey, error) {
	c, err := host.Load(home)
	if err != nil {
		return c, nil, err
	}
	key, err := Key(home)
	return c, key, err
}

// Key reads the key of the host in a home, which `assay init participant` made: machines know the
// host by it, and the chain has it. One that is gone is not made again.
func Key(home string) (ed25519.PrivateKey, error) {
	path := filepath.Join(home, HostKeyFile)
	key, err := link.ReadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("host: %s is missing, by which the chain and the machines know "+
			"this host: put it back from a backup", path)
	}
	return key, err
}

func statusCommand(home *string) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "status", Short: "Show what the host is doing and what it is waiting for",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := statusAddress(*home)
			if err != nil {
				return err
			}
			s, err := Fetch(cmd.Context(), at)
			if err != nil {
				return err
			}
			if !asJSON {
				_, err := fmt.Fprintln(cmd.OutOrStdout(),
					screen.Text(s, width(cmd.OutOrStdout()), time.Now()))
				return err
			}
			return printJSON(cmd.OutOrStdout(), s)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with all that the text leaves out")
	return cmd
}

// width is that of the terminal behind w, or of a page.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _ := terminal.Usable(f, nil); columns >= 20 {
			return columns
		}
	}
	return 80
}

// statusAddress is where the host of a home serves its status.
func statusAddress(home string) (string, error) {
	c, err := host.Load(home)
	if err == nil && c.Status == "" {
		err = fmt.Errorf("this host serves no status: set status in %s, for example status = "+
			"\"127.0.0.1:4711\"", host.ConfigPath(home))
	}
	return c.Status, err
}

// Fetch asks a running host for its status.
func Fetch(ctx context.Context, address string) (host.Status, error) {
	return fetch[host.Status](ctx, address, "/status")
}

// private asks a host of this machine, or of its owner's network: a proxy for the web is not for
// it.
var private = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func fetch[T any](ctx context.Context, address, path string) (v T, err error) {
	body, err := send(ctx, http.MethodGet, address, path)
	if err != nil {
		return v, err
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&v); err != nil {
		return v, fmt.Errorf("status of the host at %s: %w", address, err)
	}
	return v, nil
}

// send asks a running host, and returns its answer. What the host refuses it says in a sentence,
// which is the error.
func send(ctx context.Context, method, address, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := private.Do(req)
	if err != nil {
		reason, _ := link.Explain(err, address)
		return nil, fmt.Errorf("the host does not answer (%s); is assay host running?", reason)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("the answer of the host at %s broke off: %w; ask again",
			address, err)
	}
	said := string(bytes.TrimSpace(body[:min(len(body), 1<<10)]))
	switch res.StatusCode {
	case http.StatusOK:
		return body, nil
	case http.StatusConflict, http.StatusForbidden, http.StatusBadRequest:
		return nil, errors.New(said)
	case http.StatusInternalServerError:
		return nil, fmt.Errorf("the host at %s failed at it: %s; see its log", address, said)
	}
	return nil, fmt.Errorf("what answers at %s is not this program's host (it says %s): check "+
		"status in host.toml", address, res.Status)
}

// printJSON prints a document for programs.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func allowCommand(home *string) *cobra.Command {
	return &cobra.Command{
		Use: "allow KEY [NODE]", Short: "Allow a machine to work for this host (takes effect " +
			"immediately)",
		Args: cobra.RangeArgs(1, 2),
		Long: `Let a machine work for this host. KEY is what "assay-worker id" prints on that machine; NODE is the id its leaves
carry, w1, w2, ... by default. A new node is registered on chain when its machine connects and counts from the next
epoch on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := host.Load(*home)
			if err != nil {
				return err
			}
			if c.Workers == nil {
				c.Workers = map[string]string{}
			}
			node := ""
			if len(args) == 2 {
				node = args[1]
				if old, taken := c.Workers[node]; taken && old != args[0] {
					return fmt.Errorf("node %s belongs to the machine with key %s; choose "+
						"another id, or remove that line from %s", node, old,
						host.ConfigPath(*home))
				}
			}
			for i := 1; node == ""; i++ {
				if id := fmt.Sprintf("w%d", i); c.Workers[id] == "" || c.Workers[id] == args[0] {
					node = id
				}
			}
			c.Workers[node] = args[0]
			if err := c.Save(*home); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s may connect as node %s\n", args[0], node)
			return nil
		},
	}
}

func urlCommand(home *string) *cobra.Command {
	return &cobra.Command{
		Use: "url", Short: "Print the URL that workers connect to", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, key, err := load(*home)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), URL(c, key))
			return nil
		},
	}
}

// URL is where the workers of a host with a fixed port connect.
func URL(c host.Config, key ed25519.PrivateKey) string {
	at := c.Advertise
	if at == "" {
		at = c.Listen
		if name, port, err := net.SplitHostPort(at); err == nil &&
			(name == "" || net.ParseIP(name).IsUnspecified()) {
			at = net.JoinHostPort("127.0.0.1", port)
		}
	}
	return link.Address{HostPort: at,
		Fingerprint: link.FingerprintOf(key.Public().(ed25519.PublicKey))}.String()
}

func poolCommand(home *string) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "pool", Short: "What the running host owes the machines of its pool, and what it " +
			"has paid", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := statusAddress(*home)
			if err != nil {
				return err
			}
			list, path := []host.PoolAccount{}, "/pool"
			for more := true; more; {
				page, err := fetch[[]host.PoolAccount](cmd.Context(), at, path)
				if err != nil {
					return err
				}
				list = append(list, page...)
				if more = len(page) == host.PoolPage; more {
					path = "/pool?after=" + page[len(page)-1].Device.String()
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			poolTable(cmd.OutOrStdout(), list)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// poolTable prints accounts in the words that machines use: pending is what was
// earned and not paid yet, and locked the part of it that fraud would lose.
func poolTable(out io.Writer, list []host.PoolAccount) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "node\tpaid to\tcredits\testimated\tpending\tof it "+
		"locked\tsettled\tforfeited\tstrikes\tkey")
	unpaid := false
	for _, a := range list {
		strikes := fmt.Sprint(a.Strikes)
		if a.Banned {
			strikes += ", banned"
		}
		unpaid = unpaid || a.Payout == ""
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Node,
			cmp.Or(a.Payout, "-"), a.Entries,
			screen.Coins(string(a.Estimated)), screen.Coins(a.Pending.String()),
			screen.Coins(a.Locked.String()), screen.Coins(a.Settled.String()),
			screen.Coins(a.Forfeited.String()), strikes, a.Device)
	}
	_ = t.Flush()
	for _, a := range list {
		if a.Reason != "" {
			fmt.Fprintf(out, "%s: %s\n", a.Node, a.Reason)
		}
	}
	if len(list) == 0 {
		fmt.Fprintln(out, "no machine has registered yet")
	}
	if unpaid {
		fmt.Fprintln(out, "-: the machine names no account; its owner starts it with --payout "+
			"cpc1... and is paid what is pending")
	}
	fmt.Fprintln(out, "--json has every digit")
}
