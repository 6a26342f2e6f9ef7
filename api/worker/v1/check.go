// SPDX-License-Identifier: Apache-2.0

package workerv1

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/assaynet/assay/poc/record"
	"github.com/assaynet/assay/poc/work/transformer"
)

// Bounds of the protocol.
const (
	// Protocol is the version both sides must speak.
	Protocol = 3
	// Path is where the host serves the protocol's WebSocket.
	Path = "/v1/worker"
	// MaxMessage bounds one encoded Envelope, in bytes.
	MaxMessage = 1 << 20
	// MaxBatch is the largest number of records in a Batch and of nonces in a Rerun.
	MaxBatch = 1000
	// MaxReruns is how many Rerun jobs may be unanswered on one connection.
	MaxReruns = 2
	// MaxCount bounds nonces: no log holds more leaves (commit's bound on counts).
	MaxCount = 1 << 48

	// MaxText bounds reasons and next steps, MaxUntil the `until` texts, in bytes.
	MaxText  = 256
	MaxUntil = 128

	// MaxDevices bounds a Hello's devices, MaxDevice the text of each, in bytes.
	MaxDevices = 64
	MaxDevice  = 128

	// MaxEvidence bounds a LeftOut's evidence, in bytes.
	MaxEvidence = 512 << 10

	maxName    = 64
	maxAccount = 128
	maxNode    = 32
)

// ErrMessage is wrapped by every refusal of a decoder.
var ErrMessage = errors.New("workerv1: message refused")

// Encode packs one message. It does not check bounds: the sender's own values
// are its own business, and the receiver checks everything.
func Encode(e *Envelope) ([]byte, error) {
	b, err := proto.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("workerv1: encode: %w", err)
	}
	return b, nil
}

// FromWorker decodes a message that a host received.
func FromWorker(b []byte) (*Envelope, error) { return decode(b, true) }

// FromHost decodes a message that a worker received.
func FromHost(b []byte) (*Envelope, error) { return decode(b, false) }

func decode(b []byte, fromWorker bool) (*Envelope, error) {
	if len(b) > MaxMessage {
		return nil, refuse("%d bytes, the limit is %d", len(b), MaxMessage)
	}
	e := new(Envelope)
	if err := proto.Unmarshal(b, e); err != nil {
		return nil, refuse("not protobuf")
	}
	if err := known(e.ProtoReflect()); err != nil {
		return nil, err
	}
	var err error
	worker := true
	switch m := e.Message.(type) {
	case *Envelope_Hello:
		err = m.Hello.check()
	case *Envelope_NodeProof:
		err = size("node_proof.signature", m.NodeProof.Signature, 64)
	case *Envelope_Status:
		err = m.Status.check()
	case *Envelope_ModelReady:
		// Any epoch and any time may be named; the host knows what it asked for.
	case *Envelope_Batch:
		err = m.Batch.check()
	case *Envelope_RerunResult:
		err = m.RerunResult.check()
	default:
		worker = false
		switch m := e.Message.(type) {
		case *Envelope_Welcome:
			err = m.Welcome.check()
		case *Envelope_Refuse:
			err = errors.Join(text("refuse.reason", m.Refuse.Reason, 0, MaxText),
				text("refuse.next_step", m.Refuse.NextStep, 0, MaxText))
		case *Envelope_Prepare:
			err = errors.Join(text("prepare.class", m.Prepare.Class, 1, maxName),
				size("prepare.seed1", m.Prepare.Seed1, 32),
				text("prepare.until", m.Prepare.Until, 0, MaxUntil))
		case *Envelope_Compute:
			err = m.Compute.check()
		case *Envelope_Ack:
			err = errors.Join(segment("ack", m.Ack.Segment), below("ack.size", m.Ack.Size),
				size("ack.signature", m.Ack.Signature, 64))
		case *Envelope_Idle:
			err = errors.Join(text("idle.reason", m.Idle.Reason, 0, MaxText),
				text("idle.until", m.Idle.Until, 0, MaxUntil))
		case *Envelope_Rerun:
			err = m.Rerun.check()
		case *Envelope_ProveNode:
		case *Envelope_LeftOut:
			err = errors.Join(segment("left_out", m.LeftOut.Segment),
				text("left_out.reason", m.LeftOut.Reason, 1, MaxText))
			if n := len(m.LeftOut.Evidence); n > MaxEvidence {
				err = errors.Join(err,
					refuse("left_out.evidence: %d bytes, the limit is %d", n, MaxEvidence))
			}
		default:
			return nil, refuse("empty envelope")
		}
	}
	if worker != fromWorker {
		return nil, refuse("%T travels in the other direction", e.Message)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// known refuses fields that this version of the schema does not have. Messages
// nest one level deep: the envelope and what it carries.
func known(m protoreflect.Message) error {
	if len(m.GetUnknown()) > 0 {
		return refuse("%s has a field unknown to protocol %d", m.Descriptor().Name(), Protocol)
	}
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() != nil {
			err = known(v.Message())
		}
		return err == nil
	})
	return err
}

func (m *Hello) check() error {
	if len(m.Devices) > MaxDevices {
		return refuse("hello.devices: %d names, the limit is %d", len(m.Devices), MaxDevices)
	}
	errs := []error{
		text("hello.agent", m.Agent, 0, maxName),
		text("hello.engine", m.Engine, 1, maxName),
		size("hello.key", m.Key, 32),
	}
	for _, d := range m.Devices {
		errs = append(errs, text("hello.devices", d, 1, MaxDevice))
	}
	return errors.Join(errs...)
}

func (m *Status) check() error {
	if _, ok := State_name[int32(m.State)]; !ok || m.State == State_STATE_UNSPECIFIED {
		return refuse("status.state %d is unknown", m.State)
	}
	return errors.Join(
		text("status.reason", m.Reason, 0, MaxText),
		text("status.until", m.Until, 0, MaxUntil),
	)
}

func (m *Batch) check() error {
	n := len(m.Records) / record.Size
	if n < 1 || n > MaxBatch || len(m.Records)%record.Size != 0 {
		return refuse("batch.records: %d bytes, want 1..%d records of %d", len(m.Records),
			MaxBatch, record.Size)
	}
	return errors.Join(segment("batch", m.Segment), below("batch.first", m.First),
		size("batch.signature", m.Signature, 64))
}

func (m *RerunResult) check() error {
	switch {
	case m.Error != "" && len(m.Outputs) > 0:
		return refuse("rerun_result has outputs and an error")
	case m.Error != "":
		return text("rerun_result.error", m.Error, 1, MaxText)
	}
	n := len(m.Outputs) / transformer.OutputSize
	if n < 1 || n > MaxBatch || len(m.Outputs)%transformer.OutputSize != 0 {
		return refuse("rerun_result.outputs: %d bytes, want 1..%d outputs of %d", len(m.Outputs),
			MaxBatch, transformer.OutputSize)
	}
	return nil
}

func (m *Welcome) check() error {
	return errors.Join(
		text("welcome.chain", m.Chain, 1, maxName),
		text("welcome.participant", m.Participant, 1, maxAccount),
		text("welcome.node", m.Node, 1, maxNode),
	)
}

func (m *Compute) check() error {
	return errors.Join(
		segment("compute", m.Segment),
		text("compute.class", m.Class, 1, maxName),
		size("compute.seed1", m.Seed1, 32),
		size("compute.node_seed", m.NodeSeed, 32),
		size("compute.segment_seed", m.SegmentSeed, 32),
		size("compute.audit", m.Audit, 32),
		m.bounds(),
		text("compute.until", m.Until, 0, MaxUntil),
	)
}

// bounds refuses an order that wants nothing.
func (m *Compute) bounds() error {
	if m.Stop <= m.First {
		return refuse("compute.stop: %d, want more than compute.first, which is %d",
			m.Stop, m.First)
	}
	return below("compute.stop", m.Stop)
}

func (m *Rerun) check() error {
	if len(m.Nonces) < 1 || len(m.Nonces) > MaxBatch {
		return refuse("rerun.nonces: %d, want 1..%d", len(m.Nonces), MaxBatch)
	}
	return errors.Join(
		text("rerun.class", m.Class, 1, maxName),
		size("rerun.seed1", m.Seed1, 32),
		size("rerun.node_seed", m.NodeSeed, 32),
		size("rerun.segment_seed", m.SegmentSeed, 32),
	)
}

// Clip shortens s to at most max bytes and replaces what [FromWorker] and
// [FromHost] would refuse, so that an error text can be sent as it is.
func Clip(s string, max int) string {
	out := make([]byte, 0, min(len(s), max))
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		if len(out)+utf8.RuneLen(r) > max {
			break
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMessage, fmt.Sprintf(format, args...))
}

func size(field string, b []byte, want int) error {
	if len(b) != want {
		return refuse("%s: %d bytes, want %d", field, len(b), want)
	}
	return nil
}

func text(field, s string, least, most int) error {
	if len(s) < least || len(s) > most {
		return refuse("%s: %d bytes, want %d..%d", field, len(s), least, most)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return refuse("%s: has characters that do not print", field)
		}
	}
	return nil
}

func segment(message string, s uint32) error {
	if s == 0 {
		return refuse("%s.segment: segments are counted from 1", message)
	}
	return nil
}

func below(field string, n uint64) error {
	if n > MaxCount {
		return refuse("%s: %d, the limit is %d", field, n, uint64(MaxCount))
	}
	return nil
}
