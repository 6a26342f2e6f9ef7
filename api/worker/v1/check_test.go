// SPDX-License-Identifier: Apache-2.0

package workerv1

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/work/transformer"
)

func wrap(m proto.Message) *Envelope {
	switch m := m.(type) {
	case *Hello:
		return &Envelope{Message: &Envelope_Hello{m}}
	case *NodeProof:
		return &Envelope{Message: &Envelope_NodeProof{m}}
	case *Status:
		return &Envelope{Message: &Envelope_Status{m}}
	case *ModelReady:
		return &Envelope{Message: &Envelope_ModelReady{m}}
	case *Batch:
		return &Envelope{Message: &Envelope_Batch{m}}
	case *RerunResult:
		return &Envelope{Message: &Envelope_RerunResult{m}}
	case *Welcome:
		return &Envelope{Message: &Envelope_Welcome{m}}
	case *Refuse:
		return &Envelope{Message: &Envelope_Refuse{m}}
	case *Prepare:
		return &Envelope{Message: &Envelope_Prepare{m}}
	case *Compute:
		return &Envelope{Message: &Envelope_Compute{m}}
	case *Ack:
		return &Envelope{Message: &Envelope_Ack{m}}
	case *Idle:
		return &Envelope{Message: &Envelope_Idle{m}}
	case *Rerun:
		return &Envelope{Message: &Envelope_Rerun{m}}
	case *LeftOut:
		return &Envelope{Message: &Envelope_LeftOut{m}}
	case *ProveNode:
		return &Envelope{Message: &Envelope_ProveNode{m}}
	}
	panic("not a message")
}

var seed32, sig64 = make([]byte, 32), make([]byte, 64)

// good messages at the edge of their bounds; the first are the worker's.
func good() (worker, host []proto.Message) {
	devices := make([]string, MaxDevices)
	for i := range devices {
		devices[i] = strings.Repeat("d", MaxDevice)
	}
	worker = []proto.Message{
		&Hello{Protocol: 1, Agent: strings.Repeat("a", 64), Engine: strings.Repeat("e", 64),
			Devices: devices, SelfTestOk: true, Key: seed32},
		&NodeProof{Signature: make([]byte, 64)},
		&Status{State: State_STATE_FAULTED, Reason: strings.Repeat("é", 128),
			Until: strings.Repeat("u", 128)},
		&ModelReady{},
		&Batch{Epoch: 1, Segment: 1, First: MaxCount, Records: make([]byte, MaxBatch*record.Size),
			Signature: sig64},
		&Batch{Segment: 1, Records: make([]byte, record.Size), Signature: sig64},
		&RerunResult{Outputs: make([]byte, MaxBatch*transformer.OutputSize)},
		&RerunResult{Error: strings.Repeat("e", 256)},
	}
	host = []proto.Message{
		&Welcome{Chain: "c", Participant: "p", Node: strings.Repeat("n", 32)},
		&Refuse{Reason: "r", NextStep: strings.Repeat("n", 256)},
		&Prepare{Class: "nano", Seed1: seed32},
		&Compute{Class: "nano", Seed1: seed32, Segment: 1, NodeSeed: seed32, SegmentSeed: seed32,
			Audit: seed32, First: MaxCount - 1, Stop: MaxCount},
		&Ack{Segment: 1, Size: MaxCount, Signature: sig64},
		&Idle{},
		&Rerun{Class: "nano", Seed1: seed32, NodeSeed: seed32, SegmentSeed: seed32,
			Nonces: make([]uint64, MaxBatch)},
		&ProveNode{},
		&LeftOut{Segment: 1, Reason: strings.Repeat("r", 256), Evidence: make([]byte, MaxEvidence)},
	}
	return worker, host
}

func TestBoundsAdmit(t *testing.T) {
	worker, host := good()
	for i, m := range append(worker, host...) {
		b, err := Encode(wrap(m))
		if err != nil {
			t.Fatal(err)
		}
		fromWorker := i < len(worker)
		if _, err := decode(b, fromWorker); err != nil {
			t.Errorf("%T: %v", m, err)
		}
		if _, err := decode(b, !fromWorker); !errors.Is(err, ErrMessage) ||
			!strings.Contains(err.Error(), "other direction") {
			t.Errorf("%T in the other direction: %v", m, err)
		}
	}
}

func TestBoundsRefuse(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, m := range []proto.Message{
		&Hello{Engine: "e"}, &Hello{Key: seed32}, &Hello{Engine: "e", Key: make([]byte, 33)},
		&Hello{Engine: "e", Key: seed32, Agent: long},
		&Hello{Engine: "e", Key: seed32, Devices: []string{""}},
		&Hello{Engine: "e", Key: seed32, Devices: make([]string, 65)},
		&Hello{Engine: "e\n", Key: seed32},
		&NodeProof{Signature: make([]byte, 63)},
		&Status{}, &Status{State: 7}, &Status{State: -1}, &Status{State: 1, Reason: long},
		&Status{State: 1, Reason: "\u202e"}, &Status{State: 1, Until: long},
		&Batch{Segment: 1, Signature: sig64}, &Batch{Records: make([]byte, 40), Signature: sig64},
		&Batch{Segment: 1, Records: make([]byte, 41), Signature: sig64},
		&Batch{Segment: 1, Records: make([]byte, 1001*40), Signature: sig64},
		&Batch{Segment: 1, First: MaxCount + 1, Records: make([]byte, 40), Signature: sig64},
		&Batch{Segment: 1, Records: make([]byte, 40)}, &Batch{Segment: 1, Records: make([]byte, 40),
			Signature: make([]byte, 65)},
		&RerunResult{}, &RerunResult{Outputs: make([]byte, 71)},
		&RerunResult{Outputs: make([]byte, 72), Error: "e"}, &RerunResult{Error: long},
		&RerunResult{Outputs: make([]byte, 1001*72)},
		&Welcome{}, &Welcome{Chain: "c", Participant: "p", Node: strings.Repeat("n", 33)},
		&Refuse{Reason: long}, &Prepare{Class: "nano"}, &Prepare{Seed1: seed32},
		&Prepare{Class: "nano", Seed1: seed32, Until: long},
		&Compute{Class: "nano", Seed1: seed32, NodeSeed: seed32, SegmentSeed: seed32,
			Audit: seed32, Stop: 1},
		&Compute{Class: "nano", Seed1: seed32, Segment: 1, NodeSeed: seed32,
			Audit: seed32, Stop: 1},
		&Compute{Class: "nano", Seed1: seed32, Segment: 1, NodeSeed: seed32,
			SegmentSeed: seed32, Stop: 1},
		&Compute{Class: "nano", Seed1: seed32, Segment: 1, NodeSeed: seed32, SegmentSeed: seed32,
			Audit: seed32},
		&Compute{Class: "nano", Seed1: seed32, Segment: 1, NodeSeed: seed32, SegmentSeed: seed32,
			Audit: seed32, First: 7, Stop: 7},
		&Compute{Class: "nano", Seed1: seed32, Segment: 1, NodeSeed: seed32, SegmentSeed: seed32,
			Audit: seed32, First: 7, Stop: MaxCount + 1},
		&Ack{Signature: sig64}, &Ack{Segment: 1, Size: MaxCount + 1, Signature: sig64},
		&Ack{Segment: 1}, &Idle{Until: long}, &Idle{Reason: "a\x1bb"},
		&LeftOut{Reason: "r"}, &LeftOut{Segment: 1}, &LeftOut{Segment: 1, Reason: long},
		&LeftOut{Segment: 1, Reason: "r", Evidence: make([]byte, MaxEvidence+1)},
		&Rerun{Class: "nano", Seed1: seed32, NodeSeed: seed32, SegmentSeed: seed32},
		&Rerun{Class: "nano", Seed1: seed32, NodeSeed: seed32, SegmentSeed: seed32,
			Nonces: make([]uint64, 1001)},
	} {
		b, err := Encode(wrap(m))
		if err != nil {
			t.Fatal(err)
		}
		_, a := FromWorker(b)
		_, h := FromHost(b)
		if !errors.Is(a, ErrMessage) || !errors.Is(h, ErrMessage) {
			t.Errorf("%T %v was accepted", m, m)
		}
	}
}

func TestUnknownFieldsAtBothLevels(t *testing.T) {
	extra := protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1)
	inner, err := proto.Marshal(&Idle{Reason: "r"})
	if err != nil {
		t.Fatal(err)
	}
	idle := func(inner []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 21, protowire.BytesType), inner)
	}
	if _, err := FromHost(idle(inner)); err != nil {
		t.Fatalf("without extras: %v", err)
	}
	for name, b := range map[string][]byte{"envelope": append(idle(inner), extra...),
		"message": idle(append(inner, extra...))} {
		if _, err := FromHost(b); !errors.Is(err, ErrMessage) ||
			!strings.Contains(err.Error(), "unknown") {
			t.Errorf("unknown field in the %s: %v", name, err)
		}
	}
}

func TestClip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "s"))
		got := Clip(s, 20)
		if err := text("f", got, 0, 20); err != nil {
			t.Fatalf("%q became %q: %v", s, got, err)
		}
		b, err := Encode(wrap(&Idle{Reason: got}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := FromHost(b); err != nil {
			t.Fatal(err)
		}
	})
	if got := Clip("plain", 20); got != "plain" {
		t.Errorf("a plain text became %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	worker, host := good()
	for _, m := range append(worker, host...) {
		b, err := Encode(wrap(m))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, fromWorker := range []bool{true, false} {
			e, err := decode(b, fromWorker)
			if err != nil {
				continue
			}
			again, err := Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := decode(again, fromWorker); err != nil || !proto.Equal(e, f) {
				t.Fatalf("%v is not what it was: %v", f, err)
			}
		}
	})
}
