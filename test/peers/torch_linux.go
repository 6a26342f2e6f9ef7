// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"unsafe"
)

//go:embed int_mm.py
var intMM string

// torch is a Python process that multiplies when it is told to.
type torch struct {
	in      io.WriteCloser
	answers *json.Decoder
	cmd     *exec.Cmd
}

// answer is what the child says to a command.
type answer struct {
	Error           string
	Version, Kernel string
	Seconds         float64
	Row             []int32
}

func startTorch(ctx context.Context) (*torch, library, error) {
	t := &torch{cmd: exec.CommandContext(ctx, "python3", "-c", intMM)}
	in, err := t.cmd.StdinPipe()
	if err != nil {
		return nil, library{}, fmt.Errorf("torch: %w", err)
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, library{}, fmt.Errorf("torch: %w", err)
	}
	if err := t.cmd.Start(); err != nil {
		return nil, library{}, fmt.Errorf("torch: %w", err)
	}
	t.in, t.answers = in, json.NewDecoder(out)
	hello, err := t.answer()
	if err != nil {
		t.close()
		return nil, library{}, fmt.Errorf("torch: python3 has no torch._int_mm: %w", err)
	}
	return t, library{Name: "torch", Version: hello.Version, Kernel: hello.Kernel}, nil
}

// close ends the child, which reads until there is no more.
func (t *torch) close() {
	t.in.Close()
	t.cmd.Wait() // how it ends changes nothing about what it said
}

func (t *torch) answer() (a answer, err error) {
	if err := t.answers.Decode(&a); err != nil {
		return a, fmt.Errorf("the child says nothing: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// ask sends a command, and what belongs to it.
func (t *torch) ask(command string, number int, with ...[]int8) (answer, error) {
	if _, err := fmt.Fprintln(t.in, command, number); err != nil {
		return answer{}, err
	}
	for _, x := range with {
		if _, err := t.in.Write(unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x))); err != nil {
			return answer{}, err
		}
	}
	return t.answer()
}

func (t *torch) contestant() contestant {
	return contestant{
		name: "torch._int_mm", given: givenInt8,
		use:  func(threads int) error { _, err := t.ask("threads", threads); return err },
		load: func(m *matrices) error { _, err := t.ask("load", m.n, m.a, m.b); return err },
		multiply: func(_ *matrices, _, times int) (float64, error) {
			if err := rest(); err != nil {
				return 0, err
			}
			a, err := t.ask("multiply", times)
			return a.Seconds, err
		},
		row: func(_ *matrices, i int) ([]int32, error) {
			a, err := t.ask("row", i)
			return a.Row, err
		},
	}
}
