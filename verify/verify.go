// SPDX-License-Identifier: Apache-2.0

// Package verify is `assay verify`: it checks an evidence file offline, from the signed commitment down to integer
// arithmetic, and with --node also that the chain holds the same seeds, keys and commitment. Receipts and evidence of
// Merkle proof of compute are checked by package receipt, those about leaves between a machine and its host by package
// leaves; a file says by its "version" what it is.
//
//	exit 0  the file, or every file of the folder, proves its claim
//	exit 1  it does not: refuted, malformed, not what the chain holds, or a receipt by which its host cheated
package verify

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	registryv1 "github.com/assaynet/assay/api/registry/v1"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/host"
	"github.com/assaynet/assay/host/submit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/proof"
	"github.com/assaynet/assay/poc/seed"
	"github.com/assaynet/assay/poc/work"
	"github.com/assaynet/assay/poc/work/transformer"
	"github.com/assaynet/assay/verify/leaves"
	"github.com/assaynet/assay/verify/receipt"
)

// ErrChain reports evidence that is sound in itself but is not about this chain's epoch.
var ErrChain = errors.New("verify: the chain says otherwise")

// Report is the answer, as --json prints it.
type Report struct {
	File        string `json:"file"`
	Proven      bool   `json:"proven"`
	Claim       string `json:"claim"`
	Reason      string `json:"reason"`
	WithChain   bool   `json:"checked_with_chain"`
	Participant string `json:"participant,omitempty"`
	Epoch       uint64 `json:"epoch,omitempty"`
	Node        string `json:"node,omitempty"`
	Segment     uint32 `json:"segment,omitempty"`
	Nonce       uint64 `json:"nonce"`
}

// New returns the command.
func New(engine work.Engine) *cobra.Command {
	node, asJSON := "", false
	cmd := &cobra.Command{
		Use: "verify FILE|FOLDER...", Short: "Check evidence files and receipts offline; exit 0 when each proves its claim", Args: cobra.MinimumNArgs(1),
		Long: "Check evidence files: the host's signature on its commitment, the leaf's place in the log, and the unit itself,\nrecomputed on this machine. Nothing is asked of anyone; with --node the seeds, the key and the commitment are also\ncompared with those of a chain.\n\nReceipts of a host for a machine's loops, and evidence about them, are checked the same way: every signature, what was\ndrawn, what was paid, and every tile that is called wrong. A receipt that rejects without evidence that holds is shown\nto be the host's fraud.\n\nSo are a machine's receipts for its leaves, and a host's files on logs that it left out: the machine's signature has to\ncover the leaf that is called wrong. With --node a receipt is compared with what the host has committed to.\n\nOf a folder every .json file in it is checked, and the sum is printed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, path := range args {
				var err error
				if info, serr := os.Stat(path); serr == nil && info.IsDir() {
					err = folder(cmd.Context(), engine, path, node, asJSON, cmd.OutOrStdout())
				} else {
					err = run(cmd.Context(), engine, path, node, asJSON, cmd.OutOrStdout())
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&node, "node", "", "gRPC address of a node, host:port, to compare with the chain")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// result is what became of one file: its report as --json prints it and as text,
// or why it does not prove its claim.
type result struct {
	report any
	text   func(io.Writer)
	err    error
	of     receipt.Report // zero but for those of Merkle proof of compute
}

func run(ctx context.Context, engine work.Engine, path, node string, asJSON bool, out io.Writer) error {
	r := look(ctx, engine, path, node)
	switch {
	case asJSON && r.report != nil:
		return errors.Join(encode(out, r.report), r.err)
	case r.err != nil:
		return fmt.Errorf("%s: %w", path, r.err)
	}
	r.text(out)
	return nil
}

// look checks one file.
func look(ctx context.Context, engine work.Engine, path, node string) result {
	raw, err := read(path)
	if err == nil && receipt.Is(raw) {
		return lookReceipt(ctx, path, raw, node)
	}
	if err == nil && leaves.Is(raw) {
		return lookLeaves(ctx, engine, path, raw, node)
	}
	r := Report{File: path}
	var finding proof.Finding
	if err == nil {
		finding, err = check(ctx, engine, raw, node, &r)
	}
	r.Proven, r.Reason = err == nil, finding.Reason
	if err != nil {
		r.Reason = err.Error()
	}
	return result{report: r, err: err, text: func(out io.Writer) {
		fmt.Fprintf(out, "proven: leaf %d of node %s, segment %d, epoch %d, of %s is %s\n", r.Nonce, r.Node, r.Segment, r.Epoch, r.Participant, r.Claim)
		fmt.Fprintf(out, "  %s\n", finding.Reason)
		fmt.Fprintf(out, "  the leaf says  norm %d digest %s\n", finding.GotNorm, hex.EncodeToString(finding.GotDigest[:]))
		fmt.Fprintf(out, "  the unit gives norm %d digest %s\n", finding.WantNorm, hex.EncodeToString(finding.WantDigest[:]))
		if r.WithChain {
			fmt.Fprintln(out, "  seeds, host key and commitment are those of the chain")
		} else {
			fmt.Fprintln(out, "  seeds and host key are taken from the file; compare them with a chain by --node")
		}
	}}
}

// lookReceipt is look for a receipt or evidence of Merkle proof of compute.
func lookReceipt(ctx context.Context, path string, raw []byte, node string) result {
	if node != "" {
		return result{err: errors.New("--node has nothing to compare: a chain does not know challenges between a host and its machines")}
	}
	// By the definition, as all that accuses.
	r, err := receipt.Check(ctx, path, raw, mpoc.Reference())
	return result{report: r, text: r.Text, err: err, of: r}
}

// lookLeaves is look for a receipt for leaves, or evidence about some.
func lookLeaves(ctx context.Context, engine work.Engine, path string, raw []byte, node string) result {
	r, o, err := leaves.Check(ctx, path, raw, work.NewJudge(engine))
	if err == nil && node != "" {
		var c onChain
		if c, err = ask(ctx, node, o.Participant, o.Node, o.Epoch, o.Segment); err == nil {
			list := []compared{
				{"class", o.Class, c.class}, {"Seed_1", hex.EncodeToString(o.Seed1[:]), c.seed1},
				{"segment seed", hex.EncodeToString(o.SegmentSeed[:]), c.segmentSeed}, {"host key", hex.EncodeToString(o.HostKey[:]), c.hostKey},
			}
			if r.Accused != "" { // a host that looks at fewer leaves than the chain does convicts by chance
				list = append(list, compared{"number of leaves looked at", fmt.Sprint(r.Checked), fmt.Sprint(c.samples)})
			}
			switch c.nodeKey {
			case "":
				r.Reason += "; the chain has no machine of this node now, so whose key it is remains open"
			default:
				list = append(list, compared{"key of node " + o.Node, hex.EncodeToString(o.DeviceKey[:]), c.nodeKey})
			}
			err = compare(list)
			r.Committed = &c.count
		}
		if err != nil {
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

// read reads as much of a file as the longest kind may have.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, mpoc.MaxFileSize+1))
}

func check(ctx context.Context, engine work.Engine, raw []byte, node string, r *Report) (proof.Finding, error) {
	f, err := proof.Parse(raw)
	if err != nil {
		var h struct {
			Version string `json:"version"`
		}
		if json.Unmarshal(raw, &h) == nil && h.Version != proof.Version {
			err = fmt.Errorf("of no kind that proves something by itself (version %.40q): what a machine kept of its host's words is for people to read", h.Version)
		}
		return proof.Finding{}, err
	}
	r.Claim, r.Participant, r.Epoch, r.Node, r.Segment, r.Nonce = f.Claim, f.Participant, f.Epoch, f.Node, f.Segment, f.Nonce
	finding, err := proof.Verify(f, func(class transformer.Class, seed1 seed.Seed) (transformer.Model, error) {
		return engine.Transformer(ctx, class, seed1, nil)
	})
	if err != nil || node == "" {
		return finding, err
	}
	r.WithChain = true
	return finding, withChain(ctx, f, node)
}

// withChain compares what a file takes for granted with what a node answers.
func withChain(ctx context.Context, f proof.File, node string) error {
	c, err := ask(ctx, node, f.Participant, f.Node, f.Epoch, f.Segment)
	if err != nil {
		return err
	}
	if c.root == "" {
		return fmt.Errorf("%w: it holds no commitment of node %s, segment %d, of %s in epoch %d (it keeps the last %d epochs)", ErrChain, f.Node, f.Segment, f.Participant, f.Epoch, c.keep)
	}
	return compare([]compared{
		{"class", f.Class, c.class}, {"Seed_1", f.Seed1, c.seed1}, {"segment seed", f.SegmentSeed, c.segmentSeed},
		{"host key", f.HostKey, c.hostKey}, {"root", f.Root, c.root}, {"count", fmt.Sprint(f.Count), fmt.Sprint(c.count)},
	})
}

type compared struct{ what, file, chain string }

func compare(list []compared) error {
	for _, c := range list {
		if c.file != c.chain {
			return fmt.Errorf("%w: %s is %s in the file and %s on chain", ErrChain, c.what, c.file, c.chain)
		}
	}
	return nil
}

// onChain is what a chain holds about a log; bytes are in hex. Without a commitment root is empty.
type onChain struct {
	class, seed1, segmentSeed, hostKey, root string
	nodeKey                                  string // of the node as it is registered now, empty if it is not
	count                                    uint64
	keep, samples                            uint32
}

func ask(ctx context.Context, node, participant, nodeID string, epoch uint64, segment uint32) (c onChain, err error) {
	encoding, err := submit.NewEncoding()
	if err != nil {
		return c, err
	}
	conn, err := host.Dial(node, encoding)
	if err != nil {
		return c, err
	}
	defer conn.Close()
	q := sprintv1.NewQueryClient(conn)
	res, err := q.Epoch(ctx, &sprintv1.QueryEpochRequest{Number: epoch})
	if err != nil {
		return c, fmt.Errorf("asking %s for epoch %d: %w", node, epoch, err)
	}
	e := res.Epoch
	if segment < 1 || int(segment) > len(e.Segments) {
		return c, fmt.Errorf("%w: epoch %d has no segment %d", ErrChain, epoch, segment)
	}
	c.class, c.seed1, c.segmentSeed = e.Params.Class, hex.EncodeToString(e.Seed1), hex.EncodeToString(e.Segments[segment-1].Seed)
	c.keep, c.samples = e.Params.KeepEpochs, e.Params.Samples
	commits, err := q.Commits(ctx, &sprintv1.QueryCommitsRequest{Epoch: epoch, Participant: participant})
	if err != nil {
		return c, fmt.Errorf("asking %s for commitments: %w", node, err)
	}
	members, err := q.Members(ctx, &sprintv1.QueryMembersRequest{Epoch: epoch})
	if err != nil {
		return c, fmt.Errorf("asking %s for members: %w", node, err)
	}
	for _, m := range members.Members {
		if m.Participant == participant {
			c.hostKey = hex.EncodeToString(m.HostKey)
		}
	}
	if c.hostKey == "" {
		return c, fmt.Errorf("%w: it knows nothing more of %s in epoch %d, of which it keeps the last %d; without --node the file is checked offline", ErrChain, participant, epoch, c.keep)
	}
	registered, err := registryv1.NewQueryClient(conn).Participant(ctx, &registryv1.QueryParticipantRequest{Address: participant})
	if err != nil {
		return c, fmt.Errorf("asking %s for participant %s: %w", node, participant, err)
	}
	for _, n := range registered.Participant.Nodes {
		if n.Id == nodeID {
			c.nodeKey = hex.EncodeToString(n.Key)
		}
	}
	for _, k := range commits.Commits {
		if k.Node == nodeID && k.Segment == segment {
			c.root, c.count = hex.EncodeToString(k.Root), k.Count
		}
	}
	return c, nil
}
