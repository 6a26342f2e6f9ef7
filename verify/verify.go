// SPDX-License-Identifier: Apache-2.0

// Package verify is `assay verify`: it checks an evidence file from the signed commitment down to integer arithmetic, and
// against what the chain keeps of its epoch for ever: as a node answers (--node), or as the block of a trusted hash shows
// (--trust). Receipts and evidence of Merkle proof of compute are checked by package receipt, those about leaves between
// a machine and its host by package leaves; a file says by its "version" what it is.
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
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/poc/evidence"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/verify/leaves"
	"github.com/assaynet/assay/verify/receipt"
	"github.com/assaynet/assay/verify/state"
)

var (
	// ErrChain reports evidence that is sound in itself but is not about this chain's epoch.
	ErrChain = errors.New("verify: the chain says otherwise")
	// ErrTaken reports evidence that holds as far as it goes, and stands on something that was taken from the file.
	ErrTaken error = taken("verify: holds, but is not proven: the file alone says whose key it is and which seeds the epoch had")
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
	// Holds is set for what is sound by itself. Without Proven, what TakenFromFile lists is the file's word.
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
	// BlockHash and BlockHeight are of the block that the file's proof of the chain's state stands on.
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

Of a folder every .json file in it is checked, and the sum is printed.

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
		Use: "verify FILE|FOLDER...", Short: "Check evidence files and receipts offline; exit 0 when each proves its claim", Args: cobra.MinimumNArgs(1),
		Long: long,
		RunE: func(cmd *cobra.Command, args []string) error {
			by.block = strings.ToUpper(by.block)
			if raw, err := hex.DecodeString(by.block); by.block != "" && (err != nil || len(raw) != 32) {
				return errors.New("--trust wants the hash of a block, 64 hex digits")
			}
			var open error // of a file that is neither proven nor refuted
			for _, path := range args {
				check := run
				if info, err := os.Stat(path); err == nil && info.IsDir() {
					check = folder
				}
				var long *TooLong
				switch err := check(cmd.Context(), engine, path, by, full, asJSON, cmd.OutOrStdout()); {
				case errors.Is(err, ErrTaken) && !errors.As(open, &long), errors.As(err, &long):
					open = err
				case err != nil && !errors.Is(err, ErrTaken):
					return err
				}
			}
			return open
		},
	}
	cmd.Flags().StringVar(&by.node, "node", "", "gRPC address of a node, host:port, to compare with the chain")
	cmd.Flags().StringVar(&by.block, "trust", "", "hash of a block that you trust, to compare with the chain without a node")
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

func run(ctx context.Context, engine work.Engine, path string, by against, full, asJSON bool, out io.Writer) error {
	r := look(ctx, engine, path, by, full)
	if asJSON && r.report != nil {
		return errors.Join(encode(out, r.report), r.err)
	}
	if r.err == nil || errors.Is(r.err, ErrTaken) {
		r.text(out)
	}
	if r.err != nil {
		return fmt.Errorf("%s: %w", path, r.err)
	}
	return nil
}

// look checks one file.
func look(ctx context.Context, engine work.Engine, path string, by against, full bool) result {
	raw, err := read(path)
	if err == nil && !full {
		err = affordable(ctx, engine, raw)
	}
	if err != nil {
		return result{report: Report{File: path, Reason: err.Error()}, err: err}
	}
	return lookAt(ctx, engine, path, raw, by)
}

func lookAt(ctx context.Context, engine work.Engine, path string, raw []byte, by against) result {
	switch {
	case receipt.Is(raw):
		return lookReceipt(ctx, path, raw, by)
	case leaves.Is(raw):
		return lookLeaves(ctx, engine, path, raw, by)
	}
	r := Report{File: path}
	finding, err := check(ctx, engine, raw, by, &r)
	r.Proven, r.Holds, r.Reason = err == nil, err == nil || errors.Is(err, ErrTaken), finding.Reason
	if !r.Holds {
		r.Reason, r.TakenFromFile = err.Error(), nil
	}
	return result{report: r, err: err, text: func(out io.Writer) { r.print(out, finding) }}
}

// print says what a file that holds shows.
func (r Report) print(out io.Writer, finding evidence.Finding) {
	says := "proven: "
	if !r.Proven {
		says = "not proven, because of what is taken from the file: "
	}
	fmt.Fprintf(out, "%sleaf %d of node %s, segment %d, epoch %d, of %s is %s\n", says, r.Nonce, r.Node, r.Segment, r.Epoch, r.Participant, r.Claim)
	fmt.Fprintf(out, "  %s\n", finding.Reason)
	fmt.Fprintf(out, "  the leaf says  norm %d digest %s\n", finding.GotNorm, hex.EncodeToString(finding.GotDigest[:]))
	fmt.Fprintf(out, "  the unit gives norm %d digest %s\n", finding.WantNorm, hex.EncodeToString(finding.WantDigest[:]))
	switch {
	case r.Proven && r.WithChain:
		fmt.Fprintln(out, "  seeds, host key and commitment are those of the chain, as the node answers")
	case r.Proven:
		fmt.Fprintf(out, "  seeds, host key and commitment are those of the chain, as block %d shows\n", r.BlockHeight)
	case finding.Unbound:
		fmt.Fprintln(out, "  the file is of version 1: the signature binds no seeds, so the file can be edited to show anything. It convicts nobody")
	case r.BlockHash != "":
		fmt.Fprintf(out, "  the file shows the chain's state at block %d: if that block has the hash %s on your chain, add --trust and the hash\n", r.BlockHeight, r.BlockHash)
	default:
		fmt.Fprintln(out, "  the file has no proof of the chain's state: compare it with a chain by --node")
	}
	for _, what := range r.TakenFromFile {
		fmt.Fprintf(out, "  taken from the file: %s\n", what)
	}
}

// lookReceipt is look for a receipt or evidence of Merkle proof of compute.
func lookReceipt(ctx context.Context, path string, raw []byte, by against) result {
	if by != (against{}) {
		return result{err: errors.New("--node and --trust have nothing to compare: a chain does not know challenges between a host and its machines")}
	}
	// By the definition, as all that accuses.
	r, err := receipt.Check(ctx, path, raw, mpoc.Reference())
	return result{report: r, text: r.Text, err: err, of: r}
}

// lookLeaves is look for a receipt for leaves, or evidence about some.
func lookLeaves(ctx context.Context, engine work.Engine, path string, raw []byte, by against) result {
	if by.block != "" {
		return result{err: errors.New("--trust has nothing to compare: what a machine and its host sign for each other carries no proof of the chain's state; use --node")}
	}
	r, o, err := leaves.Check(ctx, path, raw, work.NewJudge(engine))
	if err == nil && by.node != "" {
		if err = leavesWithChain(ctx, by.node, o, &r); err != nil {
			r.Proven, r.Reason = false, err.Error()
		}
	}
	return result{report: r, text: r.Text, err: err}
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
	raw, err := io.ReadAll(io.LimitReader(file, int64(mpoc.MaxFileSize+1+len(mark))))
	return bytes.TrimPrefix(raw, mark), err
}

// check verifies an evidence file, first by itself and then against the chain. ErrTaken comes with the finding.
func check(ctx context.Context, engine work.Engine, raw []byte, by against, r *Report) (evidence.Finding, error) {
	f, err := evidence.Parse(raw)
	if err != nil {
		var h struct {
			Version string `json:"version"`
		}
		if json.Unmarshal(raw, &h) == nil && h.Version != evidence.Version && h.Version != evidence.Version1 {
			err = fmt.Errorf("of no kind that proves something by itself (version %.40q): what a machine kept of its host's words is for people to read", h.Version)
		}
		return evidence.Finding{}, err
	}
	r.Claim, r.Participant, r.HostKey, r.Epoch, r.Node, r.Segment, r.Nonce = f.Claim, f.Participant, f.HostKey, f.Epoch, f.Node, f.Segment, f.Nonce
	finding, err := evidence.Verify(f, func(class transformer.Class, seed1 seed.Seed) (transformer.Model, error) {
		return engine.Transformer(ctx, class, seed1, nil)
	})
	if err != nil {
		return finding, err
	}
	if f.State != nil { // a proof that does not hold spoils the file, trusted or not
		block, err := state.Check(f)
		if err != nil {
			return finding, err
		}
		r.BlockHash, r.BlockHeight = block.Hash, block.Height
		if by.block != "" && by.block != block.Hash {
			return finding, fmt.Errorf("%w: the file's proof stands on block %d with the hash %s, which is not the one that you trust", ErrChain, block.Height, block.Hash)
		}
		r.WithBlock = by.block != ""
	}
	if by.node != "" && !finding.Unbound {
		if err := withChain(ctx, f, by.node); err != nil {
			return finding, err
		}
		r.WithChain = true
	}
	switch {
	case finding.Unbound:
		r.TakenFromFile = []string{"Seed_1 of the epoch", "the segment's seed", "that the host key is the participant's"}
	case !r.WithChain && !r.WithBlock:
		r.TakenFromFile = []string{"that the host key " + f.HostKey + " is the participant's", "that the seeds, which that key signed, are the epoch's", "that the chain accepted the commitment"}
	default:
		return finding, nil
	}
	return finding, ErrTaken
}
