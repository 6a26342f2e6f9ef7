// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
	"github.com/assaynet/assay/host/ledger"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// status is the HTTP status that an error is sent with.
func status(code string) int {
	switch code {
	case mpocv1.CodeMalformed:
		return http.StatusBadRequest
	case mpocv1.CodeBadSignature, mpocv1.CodeUnknownDevice, mpocv1.CodeClockSkew:
		return http.StatusUnauthorized
	case mpocv1.CodeBanned, mpocv1.CodeBadToken:
		return http.StatusForbidden
	case mpocv1.CodeNotFound, mpocv1.CodeNoChallenge:
		return http.StatusNotFound
	case mpocv1.CodeTwoFaces, mpocv1.CodeReplayed, mpocv1.CodeNotJudged:
		return http.StatusConflict
	case mpocv1.CodeLate:
		return http.StatusGone
	case mpocv1.CodeEncoding:
		return http.StatusUnsupportedMediaType
	case mpocv1.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case mpocv1.CodeOutOfBounds, mpocv1.CodeBadOpening:
		return http.StatusUnprocessableEntity
	case mpocv1.CodeRateLimited:
		return http.StatusTooManyRequests
	case mpocv1.CodeBusy, mpocv1.CodeNoWork:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func refuse(code, next, format string, args ...any) *mpocv1.Error {
	return &mpocv1.Error{Code: code, Message: fmt.Sprintf(format, args...), NextStep: next}
}

// answer makes an Error of whatever went wrong. What is not the caller's fault
// is logged, and only named to the caller.
func (p *Pool) answer(err error) *mpocv1.Error {
	var e *mpocv1.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled): // nobody reads it, or the host is stopping
		e = refuse(mpocv1.CodeBusy, "send the same again", "the connection ended before the answer")
		e.RetryAfterMS = 2000
		return e
	case errors.Is(err, ledger.ErrBanned):
		return refuse(mpocv1.CodeBanned, "this host takes no more work of this key; its receipts "+
			"say why: "+mpocv1.PathAccount, "%v", err)
	case errors.Is(err, mpocv1.ErrBody):
		return refuse(mpocv1.CodeMalformed, "compare the body with "+mpocv1.PathOpenAPI, "%v", err)
	case errors.Is(err, signed.ErrSignature):
		return refuse(mpocv1.CodeBadSignature, "sign with the device's key over the bytes of "+
			"package mpoc", "%v", err)
	case errors.Is(err, mpoc.ErrOpening):
		return refuse(mpocv1.CodeBadOpening, "send exactly what was asked before the deadline",
			"%v", err)
	case errors.Is(err, mpoc.ErrCommit), errors.Is(err, mpoc.ErrRegistration):
		return refuse(mpocv1.CodeOutOfBounds, "keep to the terms and bounds", "%v", err)
	}
	p.log.Error("a request failed", "err", err)
	e = refuse(mpocv1.CodeInternal, "try again; the host's log has the reason",
		"the host could not do that now")
	e.RetryAfterMS = 2000
	return e
}
