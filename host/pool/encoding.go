// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
)

// unpacked is a body without its Content-Encoding. longest bounds what comes out
// as the caller bounds what goes in: a bomb is met at the first byte too many,
// with the error that a long body has.
func unpacked(h http.Header, body io.Reader, longest int64) (io.Reader, error) {
	switch encoding := strings.ToLower(strings.Join(h.Values("Content-Encoding"), ", ")); encoding {
	case "", "identity":
		return body, nil
	case "gzip":
		return &inflater{from: body, left: longest, longest: longest}, nil
	default:
		return nil, refuse(mpocv1.CodeEncoding, "send the body as it is, or with "+
			"Content-Encoding: gzip", "bodies in the encoding %.40q are not read", encoding)
	}
}

// inflater is a gzip stream up to a length. It begins with the first Read, which
// is under the caller's watch.
type inflater struct {
	from          io.Reader
	z             *gzip.Reader
	left, longest int64
}

// Read returns *http.MaxBytesError behind the last byte that fits. Errors of the
// encoding wrap mpocv1.ErrBody.
func (i *inflater) Read(p []byte) (int, error) {
	if i.z == nil {
		z, err := gzip.NewReader(i.from)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, spoilt(err)
		}
		i.z = z
	}
	n, err := i.z.Read(p[:min(int64(len(p)), i.left+1)])
	if int64(n) > i.left {
		return int(i.left), &http.MaxBytesError{Limit: i.longest}
	}
	i.left -= int64(n)
	return n, spoilt(err)
}

func spoilt(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &corrupt) {
		return fmt.Errorf("%w: gzip: %w", mpocv1.ErrBody, err)
	}
	return err
}
