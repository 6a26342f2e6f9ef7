// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/assaynet/assay/internal/disk"
	"github.com/assaynet/assay/internal/webproxy"
)

// Explained is err with Explain's words, reason and next step, for its text.
func Explained(err error, at string) error {
	reason, next := Explain(err, at)
	return &explained{reason + "; " + next, err}
}

type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// Explain says in words for a machine's owner why the host at host:port could
// not be reached, and what to do about it. Errors that are no network's keep
// their own text.
func Explain(err error, at string) (reason, next string) {
	host, port, _ := net.SplitHostPort(at)
	check := "check that the host runs (assay host status, on its machine), and that its URL is " +
		"right (assay host url)"
	var (
		name    *net.DNSError
		record  tls.RecordHeaderError
		dial    *net.OpError
		timeout net.Error
	)
	if through := webproxy.InTheWay(err, at); through != nil {
		return through.Blame(at)
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		if disk.Full(err) {
			return fmt.Sprintf("this machine's disk is full: %s cannot be written", file.Path),
				"free some space on it; it goes on by itself"
		}
		return "this machine's disk: " + file.Error(), "see to it; it goes on by itself"
	}
	switch {
	case errors.Is(err, ErrFingerprint):
		return fmt.Sprintf("whoever answers at %s does not hold the key that the URL names", at),
			"copy the worker URL from the host again (assay host url); if it is unchanged, " +
				"somebody else answers at its address"
	case errors.Is(err, ErrClosed) &&
		(errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
			errors.Is(err, net.ErrClosed)):
		return "the connection broke off", check
	case errors.Is(err, ErrClosed):
		return "the connection ended: " + strings.TrimPrefix(err.Error(), ErrClosed.Error()+": "),
			check
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf("no machine is known by the name %s", host),
			"check the spelling of the host's URL (assay host url), and this machine's name " +
				"service (DNS)"
	case errors.As(err, &name):
		return fmt.Sprintf("the name %s cannot be looked up now", host),
			"check this machine's network and its name service (DNS)"
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s", at), check
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Sprintf("%s is no Assay host", at),
			fmt.Sprintf("check the port %s in the host's URL (assay host url)", port)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET):
		return fmt.Sprintf("what answers at %s is no Assay host, or it stopped in the middle", at),
			fmt.Sprintf("check the port %s in the host's URL (assay host url)", port)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("there is no way to %s from here", at), "check this machine's network"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("%s does not answer", at),
			"check that the host runs, and that no firewall on the way keeps its port " +
				port + " closed"
	case errors.As(err, &dial):
		return fmt.Sprintf("%s cannot be reached: %v", at, dial.Err), check
	}
	return err.Error(), check
}
