// SPDX-License-Identifier: Apache-2.0

package sprint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/assaynet/assay/host/leaflog"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/sealed"
	"github.com/assaynet/assay/poc"
	"github.com/assaynet/assay/poc/delivery"
	"github.com/assaynet/assay/poc/document"
	"github.com/assaynet/assay/poc/work"
)

// errLeftOut: the log was left out before this host was restarted.
var errLeftOut = errors.New("left out")

// Whole checks that a file is what this host wrote.
func Whole(ctx context.Context, f delivery.LeftOutFile, judge *work.Judge) error {
	if f.Evidence != nil {
		found, err := f.Evidence.Verify(ctx, judge)
		if err != nil {
			return err
		}
		return f.Holds(found)
	}
	if sum, err := f.Sum(); err != nil || f.SHA256 != "" && f.SHA256 != sum {
		return errors.Join(sealed.ErrDamaged, err)
	}
	return nil
}

// LeftOutName names the file of one log.
func LeftOutName(key leaflog.Key) string {
	return fmt.Sprintf("left-out-epoch-%d-%s-segment-%d.json", key.Epoch, key.Node, key.Segment)
}

// file keeps what is known of a log that is left out. The host goes on without the file where it
// cannot be written, and then it has no evidence either.
func (au *Audits) file(key leaflog.Key, l delivery.LeftOut, a *logAudit) delivery.LeftOutFile {
	f := delivery.LeftOutFile{Version: delivery.LeftOutVersion, Shows: delivery.LeftOutHides,
		LeftOut: l}
	if a.evidence != nil {
		f = delivery.FileOf(*a.evidence, a.found)
	} else {
		f.Hidden = a.hidden.Error()
		var err error
		if f.SHA256, err = f.Sum(); err != nil {
			au.c.Logger.Error("a file of evidence has no checksum", "node", key.Node, "epoch",
				key.Epoch, "segment", key.Segment, "err", err)
		}
		au.c.Logger.Error("there is no evidence on a machine's leaves", "node", key.Node, "epoch",
			key.Epoch, "segment", key.Segment, "err", a.hidden)
	}
	path := filepath.Join(au.c.EvidenceDir, LeftOutName(key))
	if err := saveLeftOut(f, path); err != nil {
		au.c.Logger.Error("the evidence could not be written", "node", key.Node, "epoch", key.Epoch,
			"segment", key.Segment, "err", err)
		f.Evidence = nil
		return f
	}
	au.c.Logger.Info("evidence written", "node", key.Node, "epoch", key.Epoch, "segment",
		key.Segment, "path", path)
	return f
}

func saveLeftOut(f delivery.LeftOutFile, path string) error {
	raw, err := document.Write(f) // evidence has one spelling
	if err != nil {
		return err
	}
	return durable.Replace(path, raw, 0o644)
}

// OnFile finds what was written about a log. So one that is out stays out. What cannot be read is
// not believed: the log is audited again.
func (au *Audits) OnFile(ctx context.Context, key leaflog.Key) (f delivery.LeftOutFile,
	found bool) {
	path := filepath.Join(au.c.EvidenceDir, LeftOutName(key))
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, false
	}
	if err == nil {
		var d poc.Document
		d, err = poc.Open(raw)
		if l, ok := d.(*poc.LeftOut); ok {
			f = l.File
		}
	}
	if err == nil && (f.Epoch != key.Epoch || f.Node != key.Node || f.Segment != key.Segment) {
		err = fmt.Errorf("it is %q of epoch %d, node %s, segment %d", f.Version,
			f.Epoch, f.Node, f.Segment)
	}
	if err == nil {
		err = Whole(ctx, f, au.c.Judge())
	}
	if err != nil {
		au.c.Logger.Error("a file of evidence is damaged; its log is audited again",
			"path", path, "err", err)
		return f, false
	}
	return f, true
}
