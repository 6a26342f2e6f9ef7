// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/adversary"
	sprintv1 "github.com/assaynet/assay/api/sprint/v1"
	"github.com/assaynet/assay/chain/x/sprint"
	"github.com/assaynet/assay/localnet"
)

// fromEnv reads a number.
func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// disturbance is one killed process of an epoch.
type disturbance struct {
	member int
	role   localnet.Role
	phase  sprintv1.Phase // when
	into   int64          // blocks into the compute window, if that is the phase
	down   int64          // blocks until it is started again
}

// due reports whether it is time.
func (d disturbance) due(epoch uint64, now *sprintv1.QueryCurrentResponse) bool {
	e := now.Epoch
	switch {
	case e.Number != epoch || e.Phase != d.phase:
		return e.Number > epoch || e.Number == epoch && e.Phase > d.phase
	case d.phase == sprintv1.PhaseCompute:
		return now.Height >= e.ComputeStart+d.into
	default:
		return true
	}
}

// An honest network at the lengths that `assay localnet` uses, for many epochs in a row. In every
// second one a worker, a host or a validator is killed at some moment and comes back some blocks
// later. Nobody is ever rejected, nobody but the victim misses anything, and no epoch hangs.
func TestSoak(t *testing.T) {
	if os.Getenv("ASSAY_SOAK") != "1" {
		t.Skip("20 epochs at full length take twenty minutes: `make soak`, or ASSAY_SOAK=1 with " +
			"ASSAY_SOAK_EPOCHS and ASSAY_SOAK_SEED")
	}
	epochs := fromEnv(t, "ASSAY_SOAK_EPOCHS", 20)
	seed := fromEnv(t, "ASSAY_SOAK_SEED", uint64(time.Now().UnixNano()))
	random := rand.New(rand.NewPCG(seed, 0))
	params := sprint.LocalnetParams()
	n := launch(t, localnet.Options{Cheat: adversary.None, Params: &params,
		BlockTime: 700 * time.Millisecond},
		time.Duration(epochs+1)*8*time.Minute, (*localnet.Network).Start)
	t.Logf("%d epochs with seed %d; the same kills again: ASSAY_SOAK_SEED=%d", epochs, seed, seed)

	// Every window once, and as much again for the beacon's waits and for nodes that are away when
	// it is their turn.
	windows := params.PrepareBlocks + params.Segments*params.SegmentBlocks + params.CommitBlocks +
		params.ProofBlocks +
		params.ValidateBlocks + params.RevealBlocks + params.DisputeBlocks
	bound := 2 * int64(windows)

	roles := []localnet.Role{localnet.Worker, localnet.Host, localnet.Node}
	phases := []sprintv1.Phase{sprintv1.PhaseCompute, sprintv1.PhaseCompute, sprintv1.PhaseProof,
		sprintv1.PhaseValidate}
	begun, blocks, units := time.Now(), int64(0), uint64(0)
	for epoch := uint64(1); epoch <= epochs; epoch++ {
		start, victim, what := time.Now(), -1, "nobody disturbed"
		if epoch%2 == 0 {
			d := disturbance{
				member: 1 + random.IntN(3), // the first one's node is the one that this test asks
				role:   roles[epoch/2%3],
				phase:  phases[random.IntN(len(phases))],
				into:   random.Int64N(int64(params.Segments * params.SegmentBlocks)),
				down:   random.Int64N(5),
			}
			victim, what = d.member, n.disturb(epoch, d)
		}
		all := n.outcomes(epoch)
		var line []string
		for i, m := range n.Members {
			o := all[m.Address]
			units += o.Credited
			result := strings.ToLower(strings.TrimPrefix(o.Result.String(), "RESULT_"))
			line = append(line, fmt.Sprintf("%s %s %d", m.Name, result, o.Credited))
			switch o.Result {
			case sprintv1.ResultCredited:
			case sprintv1.ResultRejected, sprintv1.ResultFraud, sprintv1.ResultFalseVerdict,
				sprintv1.ResultJailed:
				t.Errorf("epoch %d: %s is honest, yet %s: %s", epoch, m.Name, result, o.Reason)
			default:
				if i != victim {
					t.Errorf("epoch %d: %s was left alone, yet it is %s: %s", epoch,
						m.Name, result, o.Reason)
				}
			}
			if o.Mismatches != 0 {
				t.Errorf("epoch %d: %d mismatches proven against %s", epoch, o.Mismatches, m.Name)
			}
			if counts := n.committed(i, epoch); i != victim && len(counts) != int(params.Segments) {
				t.Errorf("epoch %d: %s committed %d of %d segments", epoch, m.Name,
					len(counts), params.Segments)
			}
		}
		took := n.blocksOf(epoch)
		if took > bound {
			t.Errorf("epoch %d took %d blocks, its windows are %d together", epoch, took, windows)
		}
		blocks += took
		t.Logf("epoch %d: %d blocks, %s, %s: %s", epoch, took, time.Since(start).Round(time.Second),
			what, strings.Join(line, ", "))
		if t.Failed() {
			return
		}
	}
	t.Logf("%d epochs in %s: %d blocks, %d units credited, nobody rejected, none stuck", epochs,
		time.Since(begun).Round(time.Second), blocks, units)
}

// disturb kills a process when its time in an epoch has come and starts it again some blocks later.
func (n *net) disturb(epoch uint64, d disturbance) string {
	n.t.Helper()
	at := n.until(0, fmt.Sprintf("the moment of a kill in epoch %d", epoch),
		func(now *sprintv1.QueryCurrentResponse) bool { return d.due(epoch, now) })
	n.kill(d.member, d.role)
	n.until(0, fmt.Sprintf("%d blocks without it", d.down), heightPassed(n, d.down))
	n.restart(d.member, d.role)
	return fmt.Sprintf("%s's %s killed at block %d (%s) for %d blocks", n.Members[d.member].Name,
		d.role, at.Height,
		at.Epoch.Phase.Word(), d.down)
}

// blocksOf is how many blocks a finalised epoch took.
func (n *net) blocksOf(epoch uint64) int64 {
	n.t.Helper()
	q, err := n.Sprint(0)
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := q.Epoch(n.ctx, &sprintv1.QueryEpochRequest{Number: epoch})
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Epoch.FinalisedHeight - res.Epoch.Start + 1
}
