// SPDX-License-Identifier: Apache-2.0

package mpocv1

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/assaynet/assay/poc/mpoc"
)

// schema is what the document says about one body.
type schema struct {
	Type       string            `yaml:"type"`
	Required   []string          `yaml:"required"`
	Properties map[string]schema `yaml:"properties"`
	Ref        string            `yaml:"$ref"`
	Items      *schema           `yaml:"items"`
	Enum       []string          `yaml:"enum"`
	Strict     *bool             `yaml:"additionalProperties"`
	MaxItems   int               `yaml:"maxItems"`
	Example    any               `yaml:"example"`
}

type content struct {
	Content map[string]struct {
		Schema schema `yaml:"schema"`
	} `yaml:"content"`
}

type document struct {
	Paths map[string]map[string]struct {
		OperationID string             `yaml:"operationId"`
		RequestBody *content           `yaml:"requestBody"`
		Responses   map[string]content `yaml:"responses"`
	} `yaml:"paths"`
	Components struct {
		Schemas map[string]schema `yaml:"schemas"`
	} `yaml:"components"`
}

func openAPI(t testing.TB) document {
	t.Helper()
	var d document
	if err := yaml.Unmarshal(OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// objects are all structs of the interface, by the names they have in it.
func objects() map[string]reflect.Type {
	out := map[string]reflect.Type{}
	var add func(reflect.Type)
	add = func(of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice &&
			of != reflect.TypeFor[json.RawMessage]() {
			of = of.Elem()
		}
		p := reflect.PointerTo(of)
		if of.Kind() != reflect.Struct || p.Implements(textType) || out[of.Name()] != nil {
			return
		}
		out[of.Name()] = of
		for _, f := range fields(of) {
			add(f.of)
		}
	}
	for _, v := range []any{
		NonceRequest{}, NonceAnswer{}, RegisterRequest{}, RegisterAnswer{}, ChallengeRequest{},
		Challenge{}, CommitRequest{}, CommitAnswer{},
		ProofRequest{}, ProofAnswer{}, ReceiptRequest{}, ReceiptAnswer{}, FindRequest{},
		FindAnswer{}, ClaimRequest{}, ClaimAnswer{}, AccountRequest{}, Account{},
		Status{}, Error{}, Frame{},
	} {
		add(reflect.TypeOf(v))
	}
	return out
}

// kind is what the document has to say about a value of a Go type.
func kind(of reflect.Type) string {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch name := of.Name(); {
	case of == reflect.TypeFor[json.RawMessage]():
		return "object"
	case of == reflect.TypeFor[mpoc.Claim]() || of == reflect.TypeFor[mpoc.Status]():
		return "string"
	case of.Kind() == reflect.Struct,
		slices.Contains([]string{"Hash", "Key", "Signature", "Amount", "Seconds", "Path"}, name):
		return name
	case of.Kind() == reflect.Slice:
		return "list of " + kind(of.Elem())
	case of.Kind() == reflect.Uint64, of.Kind() == reflect.Uint32:
		return "integer"
	case of.Kind() == reflect.Bool:
		return "boolean"
	}
	return of.Kind().String()
}

func (s schema) kind() string {
	switch name := strings.TrimPrefix(s.Ref, "#/components/schemas/"); {
	case name == "Number":
		return "integer"
	case name != "":
		return name
	case s.Type == "array":
		if s.Items.kind() == "Hash" {
			return "Path"
		}
		return "list of " + s.Items.kind()
	}
	return s.Type
}

// Every field of a body is in the document and the other way round, with its
// kind, and required where the decoder requires it.
func TestOpenAPIHasAllFields(t *testing.T) {
	d := openAPI(t)
	for name, of := range objects() {
		s, ok := d.Components.Schemas[name]
		if !ok {
			t.Errorf("%s is not in the document", name)
			continue
		}
		if s.Strict == nil || *s.Strict {
			t.Errorf("%s: the decoder refuses unknown keys, the document does not", name)
		}
		want, got := map[string]string{}, map[string]string{}
		var required []string
		for key, f := range fields(of) {
			want[key] = kind(f.of)
			if !f.optional {
				required = append(required, key)
			}
		}
		for key, p := range s.Properties {
			got[key] = p.kind()
			if want[key] == "integer" && got[key] == "string" { // a number above 2^53, as text
				want[key] = "string"
			}
			if want[key] == "Amount" && got[key] == "string" {
				t.Errorf("%s.%s: an amount without its pattern", name, key)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-Go +document):\n%s", name, diff)
		}
		slices.Sort(required)
		slices.Sort(s.Required)
		if !slices.Equal(required, s.Required) {
			t.Errorf("%s requires %v, the document %v", name, required, s.Required)
		}
	}
	all := objects()
	for name, s := range d.Components.Schemas {
		if s.Type == "object" && all[name] == nil {
			t.Errorf("no body %s", name)
		}
	}
}

// decoders decode a body by name.
var decoders = map[string]func([]byte) (any, error){
	"NonceRequest": decoder[NonceRequest], "NonceAnswer": decoder[NonceAnswer],
	"RegisterRequest": decoder[RegisterRequest],
	"RegisterAnswer":  decoder[RegisterAnswer], "ChallengeRequest": decoder[ChallengeRequest],
	"Challenge":     decoder[Challenge],
	"CommitRequest": decoder[CommitRequest], "CommitAnswer": decoder[CommitAnswer],
	"ProofRequest": decoder[ProofRequest],
	"ProofAnswer":  decoder[ProofAnswer], "ReceiptRequest": decoder[ReceiptRequest],
	"ReceiptAnswer": decoder[ReceiptAnswer],
	"FindRequest":   decoder[FindRequest], "FindAnswer": decoder[FindAnswer],
	"ClaimRequest": decoder[ClaimRequest], "ClaimAnswer": decoder[ClaimAnswer],
	"AccountRequest": decoder[AccountRequest], "Account": decoder[Account],
	"Status": decoder[Status], "Error": decoder[Error], "Frame": decoder[Frame],
	"Pick": decoder[mpoc.Pick], "Sample": decoder[mpoc.Sample],
}

func decoder[T any](data []byte) (any, error) { return Decode[T](data) }

// examples are those of the document, as JSON.
func examples(t testing.TB) map[string][]byte {
	out := map[string][]byte{}
	for name, s := range openAPI(t).Components.Schemas {
		if s.Example == nil {
			continue
		}
		data, err := json.Marshal(s.Example)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = data
	}
	return out
}

func TestExamplesDecode(t *testing.T) {
	all := examples(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(decoders)),
		slices.Sorted(maps.Keys(all))); diff != "" {
		t.Errorf("bodies and examples (-bodies +examples):\n%s", diff)
	}
	for name, data := range all {
		v, err := decoders[name](data)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, data)
			continue
		}
		// Written again it says the same.
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(data, &a) != nil || json.Unmarshal(again, &b) != nil || !cmp.Equal(a, b) {
			t.Errorf("%s is written as\n%s", name, again)
		}
	}
}

// The document names the paths, types of frames and codes that the code does.
func TestOpenAPIHasAllPaths(t *testing.T) {
	d := openAPI(t)
	want := map[string][3]string{
		PathNonce:     {TypeNonce, "NonceRequest", "NonceAnswer"},
		PathDevices:   {TypeRegister, "RegisterRequest", "RegisterAnswer"},
		PathChallenge: {TypeChallenge, "ChallengeRequest", "Challenge"},
		PathCommits:   {TypeCommit, "CommitRequest", "CommitAnswer"},
		PathProofs:    {TypeProof, "ProofRequest", "ProofAnswer"},
		PathReceipts:  {TypeReceipt, "ReceiptRequest", "ReceiptAnswer"},
		PathFind:      {TypeFind, "FindRequest", "FindAnswer"},
		PathClaims:    {TypeClaim, "ClaimRequest", "ClaimAnswer"},
		PathAccount:   {TypeAccount, "AccountRequest", "Account"},
		PathStatus:    {TypeStatus, "", "Status"},
		PathSocket:    {"socket", "", ""}, PathOpenAPI: {"openapi", "", "string"},
	}
	got := map[string][3]string{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			if (method == "post") != (op.RequestBody != nil) {
				t.Errorf("%s %s", method, path)
			}
			row := [3]string{op.OperationID}
			if op.RequestBody != nil {
				row[1] = op.RequestBody.Content["application/json"].Schema.kind()
			}
			for _, c := range op.Responses["200"].Content {
				row[2] = c.Schema.kind()
			}
			got[path] = row
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-code +document):\n%s", diff)
	}
	frames := []string{TypeNonce, TypeRegister, TypeChallenge, TypeCommit, TypeProof, TypeReceipt,
		TypeFind, TypeClaim, TypeAccount, TypeStatus, TypeError}
	if diff := cmp.Diff(frames, d.Components.Schemas["Frame"].Properties["type"].Enum); diff != "" {
		t.Error(diff)
	}
	codes := []string{
		CodeMalformed, CodeBadSignature, CodeUnknownDevice, CodeClockSkew, CodeBanned, CodeBadToken,
		CodeNotFound, CodeNoChallenge, CodeTwoFaces,
		CodeReplayed, CodeNotJudged, CodeLate, CodeTooLarge, CodeEncoding, CodeOutOfBounds,
		CodeBadOpening, CodeRateLimited, CodeInternal, CodeBusy, CodeNoWork, CodeUnknownType,
	}
	if diff := cmp.Diff(codes, d.Components.Schemas["Error"].Properties["error"].Enum); diff != "" {
		t.Error(diff)
	}
	var shapes []string
	for _, s := range mpoc.Shapes() {
		shapes = append(shapes, s.String())
	}
	if diff := cmp.Diff(shapes, d.Components.Schemas["Shape"].Enum); diff != "" {
		t.Error(diff)
	}
}
