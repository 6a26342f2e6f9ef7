// SPDX-License-Identifier: Apache-2.0

package mpocv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assaynet/assay/poc/signed"
)

const zeros = "0x0000000000000000000000000000000000000000000000000000000000000000"

func TestDecodeRefuses(t *testing.T) {
	good := string(examples(t)["ProofRequest"])
	if _, err := Decode[ProofRequest]([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": "", "null": "null", "a list": "[]", "a string": `"x"`, "empty": "{}",
		"half":              good[:len(good)-1],
		"two bodies":        good + good,
		"bytes behind":      good + "x",
		"unknown key":       strings.Replace(good, "{", `{"extra":1,`, 1),
		"missing key":       strings.Replace(good, `"loops":1,`, "", 1),
		"repeated key":      strings.Replace(good, `"loops":1,`, `"loops":1,"loops":1,`, 1),
		"other case":        strings.Replace(good, `"loops"`, `"Loops"`, 1),
		"null for a number": strings.Replace(good, `"loops":1,`, `"loops":null,`, 1),
		"null for a list":   strings.Replace(good, `"proof":[]`, `"proof":null`, 1),
		"null for a hash": strings.Replace(good, `"token":"`+zeros[:len(zeros)-1]+`6"`,
			`"token":null`, 1),
		"object for a hash": strings.Replace(good, `"token":"`+zeros[:len(zeros)-1]+`6"`,
			`"token":{}`, 1),
		"number for a list":    strings.Replace(good, `"proof":[]`, `"proof":0`, 1),
		"list for a number":    strings.Replace(good, `"loops":1`, `"loops":[1]`, 1),
		"key in an element":    strings.Replace(good, `"index":0,`, `"index":0,"x":0,`, 1),
		"twice in an element":  strings.Replace(good, `"index":0,`, `"index":0,"index":0,`, 1),
		"none in an element":   strings.Replace(good, `"index":0,`, ``, 1),
		"no loops":             strings.Replace(good, `"loops":1`, `"loops":0`, 1),
		"too many loops":       strings.Replace(good, `"loops":1`, `"loops":100001`, 1),
		"loops with a point":   strings.Replace(good, `"loops":1`, `"loops":1.0`, 1),
		"negative loops":       strings.Replace(good, `"loops":1`, `"loops":-1`, 1),
		"loops as text":        strings.Replace(good, `"loops":1`, `"loops":"1"`, 1),
		"time to the micro":    strings.Replace(good, `14.21`, `14.2101`, 1),
		"time as text":         strings.Replace(good, `14.21`, `"14.21"`, 1),
		"capital hex":          strings.Replace(good, "0000a\"", "0000A\"", 1),
		"round beyond 32 bits": strings.Replace(good, `"round":0`, `"round":4294967296`, 1),
		"not UTF-8":            strings.Replace(good, `"loops"`, "\"loops\xff\"", 1),
		"long path": strings.Replace(good, `"proof":[]`,
			`"proof":["`+zeros+strings.Repeat(`","`+zeros, 17)+`"]`, 1),
		"too long": good + strings.Repeat(" ", maxProof),
	} {
		if text == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if v, err := Decode[ProofRequest]([]byte(text)); !errors.Is(err, ErrBody) || v.Loops != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Order and white space are free.
	if _, err := Decode[NonceAnswer]([]byte(" { \"host_key\":\"" + zeros +
		"\", \"chain\":\"c\",\"expiry\":1,\n\"nonce\":\"" + zeros + "\"}\n")); err != nil {
		t.Error(err)
	}
}

// Each body's bounds are kept.
func TestBounds(t *testing.T) {
	ex := examples(t)
	for name, c := range map[string]struct{ body, from, to string }{
		"asking for the account": {"ChallengeRequest", `"challenge"`, `"account"`},
		"asking for a challenge": {"AccountRequest", `"account"`, `"challenge"`},
		"asking for a receipt":   {"FindRequest", `"receipt"`, `"account"`},
		"of no challenge": {"FindRequest",
			`"challenge_id":"0xb4377b4646415319a6207307c09256a9cc7c83a5e1769b77756efe05c0d94243",`,
			``},
		"account of a challenge": {"AccountRequest", `"count":2`,
			`"count":2,"challenge_id":"` + zeros + `"`},
		"asking in the future": {"AccountRequest", `1800000000000`, `9007199254740992`},
		"no devices": {"RegisterRequest",
			`"devices":[{"engine":"cpu/avx2","id":"cpu-0","name":"A processor","rate_ops":40000000000}]`, `"devices":[]`},
		"escape codes":       {"RegisterRequest", `assay-worker/1`, `\u001b[2J`},
		"another seed":       {"Challenge", `"picks":90`, `"picks":0`},
		"a shape of no list": {"Challenge", `512x512x512`, `256x256x1024`},
		"beyond certainty":   {"CommitAnswer", `4294967296`, `4294967297`},
		"neither":            {"ProofAnswer", string(ex["ProofAnswer"]), `{}`},
		"amount":             {"Account", `"1500"`, `"01500"`},
		"settlement":         {"Account", `"30000","host_signature"`, `"-1","host_signature"`},
		"no type":            {"Frame", `"status"`, `""`},
		"body null":          {"Frame", `{}`, `null`},
	} {
		bad := strings.Replace(string(ex[c.body]), c.from, c.to, 1)
		if bad == string(ex[c.body]) {
			t.Fatalf("%s: nothing was changed in %s", name, bad)
		}
		if _, err := decoders[c.body]([]byte(bad)); !errors.Is(err, ErrBody) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode[NonceRequest](bytes.Repeat([]byte(" "), maxSmall+1)); !errors.Is(err,
		ErrBody) {
		t.Error(err)
	}
}

// Read stops at the limit of its body, however much is sent.
func TestReadIsBounded(t *testing.T) {
	r := &endless{}
	if _, err := Read[NonceRequest](r); !errors.Is(err, ErrBody) || r.n > 4*maxSmall {
		t.Errorf("%v after %d bytes", err, r.n)
	}
	v, err := Read[NonceRequest](strings.NewReader(`{"device_key":"` + zeros + `"}`))
	if err != nil || v.DeviceKey != (signed.Key{}) {
		t.Error(err)
	}
}

type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.n += len(p)
	return len(p), nil
}

// A frame's body is read by its type.
func TestFrame(t *testing.T) {
	f, err := Decode[Frame]([]byte(`{"id":3,"type":"nonce","body":{"device_key":"` + zeros + `"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode[NonceRequest](f.Body); err != nil || f.ID != 3 || f.Type != TypeNonce {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := Decode[Empty]([]byte(`{}`)); err != nil {
		t.Error(err)
	}
	if _, err := Decode[Empty]([]byte(`{"x":1}`)); !errors.Is(err, ErrBody) {
		t.Error(err)
	}
	deep := strings.Repeat(`[`, 100_000)
	if _, err := Decode[Frame]([]byte(`{"id":3,"type":"nonce","body":` + deep +
		`}`)); !errors.Is(err, ErrBody) {
		t.Error(err)
	}
}

// What is accepted has one meaning: written again and read again it is the same.
func FuzzDecode(f *testing.F) {
	names := []string{"NonceRequest", "RegisterRequest", "ChallengeRequest", "Challenge",
		"CommitRequest", "CommitAnswer", "ProofRequest", "ProofAnswer", "ReceiptRequest",
		"AccountRequest", "Account", "Status", "Error", "Frame"}
	all := examples(f)
	for i, name := range names {
		f.Add(byte(i), all[name])
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		decode := decoders[names[int(which)%len(names)]]
		v, err := decode(data)
		if err != nil {
			if !errors.Is(err, ErrBody) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(again)
		if err != nil || !cmp.Equal(v, back) {
			t.Errorf("%+v became %+v, %v", v, back, err)
		}
	})
}

// A submission's second step, decoded from what came over the wire.
func ExampleDecode() {
	_, err := Decode[ReceiptAnswer]([]byte(`{"entry": 7, "entry": 8}`))
	fmt.Println(err)
	answer, err := Decode[ReceiptAnswer]([]byte(`{"entry": 7}`))
	fmt.Println(answer.Entry, err)
	// Output:
	// mpoc: malformed body: body has the key "entry", which is unknown or repeated
	// 7 <nil>
}
