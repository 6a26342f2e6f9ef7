// SPDX-License-Identifier: Apache-2.0

package leaflog

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const childEnv = "LEAFLOG_TEST_CHILD"

// TestMain doubles as the program that TestKilled kills: it appends batches
// and prints the size after each, which is its acknowledgement.
func TestMain(m *testing.M) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Open(dir)
	if err != nil {
		panic(err)
	}
	l, err := s.Log(testKey, testClass)
	if err != nil {
		panic(err)
	}
	for n := 1; ; n = n%MaxBatch + 37 {
		n = min(n, MaxBatch)
		if err := l.Append(l.Size(), records(l.Size(), n), signature(l.Size())); err != nil {
			panic(err)
		}
		fmt.Println(l.Size())
	}
}

// Killed without warning, again and again, a host still has every leaf that it
// acknowledged.
// Holds spec H-2.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	acked := uint64(0)
	for round := range 8 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+dir)
		var errs bytes.Buffer
		child.Stderr = &errs
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for seen := 0; lines.Scan(); seen++ {
			if acked, err = strconv.ParseUint(strings.TrimSpace(lines.Text()), 10, 64); err != nil {
				t.Fatal(err)
			}
			if seen == 10+round*3 {
				child.Process.Kill() // what the pipe still holds is read, and counts
			}
		}
		child.Wait()
		if errs.Len() > 0 {
			t.Fatalf("child: %s", errs.String())
		}

		s := openStore(t, dir)
		l := openTestLog(t, s)
		if l.Size() < acked {
			t.Fatalf("round %d: %d leaves acknowledged, %d found", round, acked, l.Size())
		}
		checkContents(t, l, l.Size())
		s.Close()
	}
}

// FuzzFile opens arbitrary bytes as a log: it never panics, and what it accepts
// is what it would have written itself.
func FuzzFile(f *testing.F) {
	header := appendHeader(nil, testKey, Transformer(testClass))
	one := framesOf(header).append(bytes.Clone(header), 0, records(0, 3), new(Signature))
	two := framesOf(header).append(bytes.Clone(one), 3, records(3, 2), &Signature{1})
	f.Add(header)
	f.Add(one)
	f.Add(two)
	f.Add(two[:len(two)-1])
	f.Add(two[:len(one)+7])
	short := appendHeader(nil, testKey, Form{Kind: 3, Spec: 1, Body: 8})
	f.Add(framesOf(short).append(short, 0, records(0, 1), new(Signature)))
	f.Fuzz(func(t *testing.T, file []byte) {
		key, form, err := parseHeader(file)
		if err != nil {
			return
		}
		again := appendHeader(nil, key, form)
		frame, first := framesOf(file), uint64(0)
		end, err := frame.scan(bytes.NewReader(file), int64(len(file)),
			func(off int64, packed []byte, mended bool) {
				if mended {
					t.Skip() // it would write the bit as it was
				}
				if off != int64(len(again)) {
					t.Fatalf("frame at %d, expected at %d", off, len(again))
				}
				_, sig, _ := frame.parse(file[off:], first)
				again = frame.append(again, first, packed, &sig)
				first += uint64(frame.count(packed))
			})
		if err == nil && !bytes.Equal(again, file[:end]) {
			t.Fatal("accepted what it would not write")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l := openTestLog(b, openStore(b, b.TempDir()))
	recs := records(0, MaxBatch)
	for b.Loop() {
		if err := l.Append(l.Size(), recs, Signature{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*MaxBatch/b.Elapsed().Seconds(), "leaves/s")
}
