// SPDX-License-Identifier: Apache-2.0

// Package verify is `assay verify`: it checks documents that prove something, of every kind that
// package poc opens. What poc cannot do is done here: evidence is also held against what the chain
// keeps of its epoch for ever, as a node answers (--node) or as the block of a trusted hash shows
// (--trust), and leaves between a machine and its host against what a node answers. Packages
// receipt and leaves put the answers into words.
//
//	exit 0  the file, or every file of the folder, proves its claim
//	exit 1  it does not: refuted, malformed, not what the chain holds, or a receipt by which its host cheated
//	exit 2  it holds, but that the key is the participant's and the seeds the epoch's is taken from the file
//	exit 3  it was not checked: that takes more than ten seconds here, and --full was not given
package verify

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/verify/leaves"
	"github.com/assaynet/assay/verify/receipt"
)

var (
	// ErrChain reports evidence that is sound in itself but is not about this chain's epoch.
	ErrChain = errors.New("verify: the chain says otherwise")
	// ErrTaken reports evidence that holds as far as it goes, and stands on something that was
	// taken from the file.
	ErrTaken error = taken("verify: holds, but is not proven: the file alone says whose key it " +
		"is and which seeds the epoch had")
)

// taken is an error with an exit code of its own.
type taken string

func (t taken) Error() string { return string(t) }

// ExitCode is that of a program that ends with ErrTaken.
func (taken) ExitCode() int { return 2 }

// Report is the answer, as --json prints it.
type Report struct {
	File   string `json:"file"`
	Proven bool   `json:"proven"`
	// Holds is set for what is sound by itself. Without Proven, what TakenFromFile lists is the
	// file's word.
	Holds         bool     `json:"holds"`
	TakenFromFile []string `json:"taken_from_file,omitempty"`
	Claim         string   `json:"claim"`
	Reason        string   `json:"reason"`
	WithChain     bool     `json:"checked_with_chain"`
	WithBlock     bool     `json:"checked_with_block"`
	Participant   string   `json:"participant,omitempty"`
	HostKey       string   `json:"host_key,omitempty"`
	Epoch         uint64   `json:"epoch,omitempty"`
	Node          string   `json:"node,omitempty"`
	Segment       uint32   `json:"segment,omitempty"`
	Nonce         uint64   `json:"nonce"`
	// BlockHash and BlockHeight are of the block that the file's proof of the chain's state stands
	// on.
	BlockHash   string `json:"block_hash,omitempty"`
	BlockHeight int64  `json:"block_height,omitempty"`
}

// against is what a file is held against beside itself; both may be empty.
type against struct {
	node  string // gRPC address
	block string // trusted hash, 64 hex digits
}

const long = `Check evidence files: the host's signature on its commitment, which binds the epoch's seeds, the leaf's place in the log,
and the unit itself, recomputed on this machine. Two things only a chain knows: that the key is the participant's, and that
the seeds are the epoch's. The chain keeps both for ever, so a file of any age is checked against it in one of two ways:

  --node HOST:PORT   ask a node that you trust
  --trust HASH       no node: the file shows what the chain holds, up to the hash of a block that you trust

Receipts of a host for a machine's loops, and evidence about them, are checked the same way: every signature, what was
drawn, what was paid, and every tile that is called wrong. A receipt that rejects without evidence that holds is shown
to be the host's fraud.

So are a machine's receipts for its leaves, and a host's files on logs that it left out: the machine's signature has to
cover the leaf that is called wrong. With --node a receipt is compared with what the host has committed to. What these
files prove is about the keys in them, which you compare with those you know.

Given a directory, verify checks every .json file in it and prints a summary.

Exit codes:
  0  every file proves its claim
  1  one does not: refuted, malformed, not what the chain holds, or a receipt by which its host cheated
  2  every file holds, but of one the key and the seeds are taken from the file: it was given neither --node nor
     --trust, or it is of version 1, whose signature binds no seeds. It convicts nobody
  3  one was not checked: that takes more than ten seconds on this machine, or 2 GiB of memory. With --full it is`

// New returns the command.
func New(engine work.Engine) *cobra.Command {
	var by against
	asJSON, full := false, false
	cmd := &cobra.Command{
		Use:   "verify FILE|FOLDER...",
		Short: "Check evidence files and receipts offline; exit 0 when each proves its claim",
		Args:  cobra.MinimumNArgs(1),
		Long:  long,
		RunE: func(cmd *cobra.Command, args []string) error {
			by.block = strings.ToUpper(by.block)
			if raw, err := hex.DecodeString(by.block); by.block != "" &&
				(err != nil || len(raw) != 32) {
				return errors.New("--trust wants the hash of a block, 64 hex digits")
			}
			var open error // of a file that is neither proven nor refuted
			for _, path := range args {
				check := run
				if info, err := os.Stat(path); err == nil && info.IsDir() {
					check = folder
				}
				var long *TooLong
				switch err := check(cmd.Context(), engine, path, by, full, asJSON,
					cmd.OutOrStdout()); {
				case errors.Is(err, ErrTaken) && !errors.As(open, &long), errors.As(err, &long):
					open = err
				case err != nil && !errors.Is(err, ErrTaken):
					return err
				}
			}
			return open
		},
	}
	cmd.Flags().StringVar(&by.node, "node", "", "gRPC address of a node, host:port, to compare "+
		"with the chain")
	cmd.Flags().StringVar(&by.block, "trust", "", "hash of a block that you trust, to compare "+
		"with the chain without a node")
	cmd.Flags().BoolVar(&full, "full", false, "check also what takes longer than ten seconds")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// result is what became of one file: its report as --json prints it and as text,
// or why it does not prove its claim.
type result struct {
	report any
	text   func(io.Writer)
	err    error          // ErrTaken comes with a text
	of     receipt.Report // zero but for those of Merkle proof of compute
}

func run(ctx context.Context, engine work.Engine, path string, by against, full, asJSON bool,
	out io.Writer) error {
	r := look(ctx, engine, path, by, full)
	if asJSON && r.report != nil {
		return errors.Join(encode(out, r.report), r.err)
	}
	if r.err == nil || errors.Is(r.err, ErrTaken) {
		r.text(out)
	}
	if r.err != nil {
		if at := new(fs.PathError); errors.As(r.err, &at) && at.Path == path {
			return r.err // which names it
		}
		return fmt.Errorf("%s: %w", path, r.err)
	}
	return nil
}

// look checks one file.
func look(ctx context.Context, engine work.Engine, path string, by against, full bool) result {
	raw, err := read(path)
	if err != nil {
		return result{report: Report{File: path, Reason: err.Error()}, err: err}
	}
	return lookAt(ctx, engine, path, raw, by, full)
}

// lookAt opens a document, asks what checking it costs, and verifies it by itself and against the
// chain.
func lookAt(ctx context.Context, engine work.Engine, path string, raw []byte, by against,
	full bool) result {
	d, err := poc.Open(raw)
	if bad := (*poc.OpenError)(nil); errors.As(err, &bad) {
		if err := by.fits(bad.Kind); err != nil {
			return result{err: err}
		}
		return malformed(path, bad.Kind, err)
	}
	if !full {
		if err := affordable(ctx, engine, d.Cost()); err != nil {
			return result{report: Report{File: path, Reason: err.Error()}, err: err}
		}
	}
	if err := by.fits(d.Kind()); err != nil {
		return result{err: err}
	}
	return answer(ctx, engine, path, d, by)
}

// about are the three families of reports.
func about(kind poc.Kind) (loops, handed bool) {
	switch kind {
	case poc.KindReceipt, poc.KindLoopEvidence, poc.KindTransfer:
		return true, false
	case poc.KindLeafReceipt, poc.KindLeafEvidence, poc.KindLeftOut:
		return false, true
	}
	return false, false
}

// fits refuses a chain for documents that a chain says nothing about.
func (by against) fits(kind poc.Kind) error {
	switch loops, handed := about(kind); {
	case loops && by != against{}:
		return errors.New("--node and --trust have nothing to compare: a chain does not know " +
			"challenges between a host and its machines")
	case handed && by.block != "":
		return errors.New("--trust has nothing to compare: what a machine and its host sign for " +
			"each other carries no proof of the chain's state; use --node")
	}
	return nil
}

// malformed is the result of a file that could not be opened.
func malformed(path string, kind poc.Kind, err error) result {
	r := result{report: Report{File: path, Reason: err.Error()}, err: err}
	switch loops, handed := about(kind); {
	case loops:
		r.report = receipt.Report{File: path, Kind: string(kind), Reason: err.Error()}
	case handed:
		r.report = leaves.Report{File: path, Kind: leaves.Kind(kind), Reason: err.Error()}
	}
	return r
}

// answer is the result of a document of any kind.
func answer(ctx context.Context, engine work.Engine, path string, d poc.Document,
	by against) result {
	if e, ok := d.(*poc.Evidence); ok {
		c := &chained{Evidence: e, by: by}
		found, err := c.Verify(ctx, engine, poc.Options{})
		return c.result(path, found, err)
	}
	if o, ok := leaves.Order(d); ok && by.node != "" {
		c := &chainedLeaves{Document: d, node: by.node, order: o}
		found, err := c.Verify(ctx, engine, poc.Options{})
		r, _ := leaves.Of(path, d, found, err)
		r.Committed, r.WithChain = c.committed, c.compared
		return result{report: r, text: r.Text, err: err}
	}
	found, err := d.Verify(ctx, engine, poc.Options{})
	if r, ok := receipt.Of(path, d, found, err); ok {
		return result{report: r, text: r.Text, err: err, of: r}
	}
	r, _ := leaves.Of(path, d, found, err)
	return result{report: r, text: r.Text, err: err}
}

// result puts what became of evidence into words.
func (c *chained) result(path string, found poc.Report, err error) result {
	f := c.File
	r := Report{File: path, Proven: err == nil && found.Proven, Holds: err == nil,
		Reason: found.Proves, TakenFromFile: found.Assumed,
		Claim: f.Claim, WithChain: c.withNode, WithBlock: c.withBlock, Participant: f.Participant,
		HostKey: f.HostKey, Epoch: f.Epoch,
		Node: f.Node, Segment: f.Segment, Nonce: f.Nonce, BlockHash: c.block.Hash,
		BlockHeight: c.block.Height}
	switch {
	case err != nil:
		r.Reason, r.TakenFromFile = err.Error(), nil
	case !found.Proven:
		err = ErrTaken
	}
	return result{report: r, err: err, text: func(out io.Writer) { r.print(out, found) }}
}

// print says what a file that holds shows.
func (r Report) print(out io.Writer, found poc.Report) {
	says := "proven: "
	if !r.Proven {
		says = "not proven, because of what is taken from the file: "
	}
	fmt.Fprintf(out, "%sleaf %d of node %s, segment %d, epoch %d, of %s is %s\n", says, r.Nonce,
		r.Node, r.Segment, r.Epoch, r.Participant, r.Claim)
	fmt.Fprintf(out, "  %s\n", found.Proves)
	fmt.Fprintf(out, "  the leaf says  %s\n", found.Got)
	fmt.Fprintf(out, "  the unit gives %s\n", found.Want)
	switch {
	case r.Proven && r.WithChain:
		fmt.Fprintln(out, "  seeds, host key and commitment are those of the chain, as the node "+
			"answers")
	case r.Proven:
		fmt.Fprintf(out, "  seeds, host key and commitment are those of the chain, as block %d "+
			"shows\n", r.BlockHeight)
	case found.Unbound:
		fmt.Fprintln(out, "  the file is of version 1: the signature binds no seeds, so the file "+
			"can be edited to show anything. It convicts nobody")
	case r.BlockHash != "":
		fmt.Fprintf(out, "  the file shows the chain's state at block %d: if that block has the "+
			"hash %s on your chain, add --trust and the hash\n", r.BlockHeight, r.BlockHash)
	default:
		fmt.Fprintln(out, "  the file has no proof of the chain's state: compare it with a chain "+
			"by --node")
	}
	for _, what := range r.TakenFromFile {
		fmt.Fprintf(out, "  taken from the file: %s\n", what)
	}
}

func encode(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// mark is what editors on Windows put in front of a text; it is no part of it.
var mark = []byte("\xef\xbb\xbf")

// read reads as much of a file as the longest kind may have.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, int64(poc.MaxSize+1+len(mark))))
	return bytes.TrimPrefix(raw, mark), err
}
