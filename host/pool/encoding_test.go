// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	mpocv1 "github.com/assaynet/assay/api/mpoc/v1"
)

func packed(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A bomb gives as many bytes as a body may have and then the error of a long
// body, and is not read to its end.
func TestBomb(t *testing.T) {
	bomb := bytes.NewReader(packed(t, gzip.BestCompression, make([]byte, 64<<20)))
	size := bomb.Len()
	body, err := unpacked(http.Header{"Content-Encoding": {"gzip"}}, bomb, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	var long *http.MaxBytesError
	if len(got) != 100_000 || !errors.As(err, &long) || long.Limit != 100_000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if read := size - bomb.Len(); read > 8<<10 {
		t.Errorf("%d of %d compressed bytes were read", read, size)
	}
}

// Whatever comes in: no more comes out than may, and what does is what gzip says.
func FuzzUnpacked(f *testing.F) {
	for _, data := range [][]byte{nil, []byte("{}"), make([]byte, 1001),
		bytes.Repeat([]byte("0123456789abcdef"), 100)} {
		f.Add(packed(f, gzip.DefaultCompression, data))
		f.Add(append(packed(f, gzip.BestSpeed, data), packed(f, gzip.NoCompression, data)...))
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const longest = 1000
		body, err := unpacked(http.Header{"Content-Encoding": {"GZIP"}},
			bytes.NewReader(data), longest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		var want []byte
		z, werr := gzip.NewReader(bytes.NewReader(data))
		if werr == nil {
			want, werr = io.ReadAll(io.LimitReader(z, longest+1))
		}
		var long *http.MaxBytesError
		switch {
		case len(want) > longest:
			if !errors.As(err, &long) || len(got) != longest {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		case werr != nil:
			if !errors.Is(err, mpocv1.ErrBody) {
				t.Errorf("%v, gzip says %v", err, werr)
			}
		case err != nil || !bytes.Equal(got, want):
			t.Errorf("%q, %v; gzip says %q", got, err, want)
		}
	})
}

func TestOtherEncodings(t *testing.T) {
	for _, encoding := range []string{"br", "deflate", "zstd", "gzip, gzip", "gzip, br", "x"} {
		_, err := unpacked(http.Header{"Content-Encoding": strings.Split(encoding, ", ")},
			strings.NewReader("{}"), 10)
		var e *mpocv1.Error
		if !errors.As(err, &e) || status(e.Code) != http.StatusUnsupportedMediaType ||
			!strings.Contains(e.NextStep, "gzip") {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}
