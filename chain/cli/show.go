// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/internal/commands"
	"github.com/assaynet/assay/internal/webproxy"
	"github.com/assaynet/assay/poc/coin"
)

// sink is where the SDK's commands write. It keeps a text until it is whole, and what a node says
// of a transaction.
type sink struct {
	w        io.Writer
	text     bool
	held     bytes.Buffer
	codec    codec.Codec // of a transaction's answer; nil: none is expected
	response *sdk.TxResponse
	fee      string
}

func (s *sink) Write(p []byte) (int, error) {
	if s.text {
		return s.held.Write(p)
	}
	if s.codec != nil && s.response == nil {
		var fields struct {
			Hash *string `json:"txhash"`
		}
		r := new(sdk.TxResponse)
		if json.Unmarshal(p, &fields) == nil && fields.Hash != nil &&
			s.codec.UnmarshalJSON(p, r) == nil {
			s.response = r
			return len(p), nil
		}
	}
	return s.w.Write(p)
}

func (s *sink) flush() error {
	if s.held.Len() == 0 {
		return nil
	}
	_, err := s.w.Write(readable(s.held.Bytes()))
	return err
}

// show decides how a command's answer is shown: a transaction's is awaited and told in lines, a
// query's text is made readable.
func (s *session) show(cmd *cobra.Command) error {
	f := cmd.Flags().Lookup(flags.FlagOutput)
	if f == nil {
		return nil
	}
	if format := f.Value.String(); format != flags.OutputFormatText &&
		format != flags.OutputFormatJSON {
		return fmt.Errorf("--%s %q: choose text or json", flags.FlagOutput, format)
	}
	switch {
	case s.tree == "tx" && broadcasts(cmd):
		s.human = !f.Changed || f.Value.String() == flags.OutputFormatText
		s.out.codec = s.encoding.Codec
		return cmd.Flags().Set(flags.FlagOutput, flags.OutputFormatJSON)
	case s.tree == "query":
		s.out.text = f.Value.String() == flags.OutputFormatText
	}
	return nil
}

var (
	// fractions are fields that count in 2^64ths.
	fractions = []string{"p", "bound"}
	// money are fields of our modules that are amounts in the base unit without its name.
	money = []string{"deposit", "registration_deposit", "free", "bond", "claim_bond",
		"collateral_per_unit", "held"}
	// thousandths are fields of ours that count in 10^15 of it.
	thousandths = []string{"locked", "newcomers_locked"}
)

// readable makes an answer in YAML one for people: coins in cpc, fractions as decimal ones. Every
// digit is in --output json. What is no YAML stays as it is.
func readable(text []byte) []byte {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 ||
		doc.Content[0].Kind == yaml.ScalarNode {
		return text
	}
	mend(&doc)
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(&doc), e.Close()); err != nil {
		return text
	}
	return out.Bytes()
}

func mend(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			mend(c)
		}
		return
	}
	if text := amountOf(n); text != "" {
		*n = yaml.Node{Kind: yaml.ScalarNode, Value: text}
		return
	}
	named := false // a coin of another kind
	for i := 0; i+1 < len(n.Content); i += 2 {
		named = named || n.Content[i].Value == "denom"
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		number, ok := new(big.Int).SetString(value.Value, 10)
		switch {
		case value.Kind != yaml.ScalarNode || !ok:
			mend(value)
		case slices.Contains(fractions, key):
			*value = yaml.Node{Kind: yaml.ScalarNode, Value: Fraction(number)}
		case slices.Contains(thousandths, key):
			number.Mul(number, new(big.Int).Exp(big.NewInt(10), big.NewInt(coin.Decimals-3), nil))
			*value = yaml.Node{Kind: yaml.ScalarNode, Value: coin.Text(number)}
		case slices.Contains(money, key), key == "amount" && !named:
			*value = yaml.Node{Kind: yaml.ScalarNode, Value: coin.Text(number)}
		}
	}
}

// amountOf is the text of a mapping that is one coin, empty for any other.
func amountOf(n *yaml.Node) string {
	if len(n.Content) != 4 {
		return ""
	}
	fields := map[string]string{n.Content[0].Value: n.Content[1].Value,
		n.Content[2].Value: n.Content[3].Value}
	if fields["denom"] != coin.Base {
		return ""
	}
	number, ok := new(big.Int).SetString(fields["amount"], 10)
	if !ok {
		return ""
	}
	return coin.Text(number)
}

// Fraction writes a number of 2^64ths as a decimal fraction of six digits that count.
func Fraction(of64 *big.Int) string {
	value, _ := new(big.Rat).SetFrac(of64, new(big.Int).Lsh(big.NewInt(1), 64)).Float64()
	return fmt.Sprintf("%.6g", value)
}

var (
	grpcPrefix = regexp.MustCompile(`rpc error: code = \w+ desc = `)
	source     = regexp.MustCompile(` ?\[[\w./@-]+\.go:\d+\]`)
	gasUsed    = regexp.MustCompile(` with gas used: '\d+'`)
	noKey      = regexp.MustCompile(
		`(\S+)(?:\.info: key not found| is not a valid name or address)`)
	refusedAt = regexp.MustCompile(`connection refused|no such host|connection reset|i/o timeout`)
)

// clean takes off an error what is for the SDK's developers.
func clean(text string) string {
	for _, form := range []*regexp.Regexp{grpcPrefix, source, gasUsed} {
		text = form.ReplaceAllString(text, "")
	}
	text = strings.TrimSuffix(strings.TrimSpace(text), ": unknown request")
	return strings.Join(strings.Fields(text), " ")
}

// explain says an error of the SDK's in a sentence with the next step.
func (s *session) explain(ran *cobra.Command, err error) error {
	var misuse *commands.Misuse
	switch {
	case err == nil:
		return nil
	case s.ring != nil && s.ring.Failure() != nil:
		return s.ring.Failure()
	case errors.As(err, &misuse):
		return err
	}
	if told := commands.Explain(ran, err); told != err {
		return told
	}
	text := clean(err.Error())
	if m := noKey.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("no account %q in the keyring of %s; see assay keys list --home %s",
			m[1], s.home, s.home)
	}
	if through := webproxy.InTheWay(err, hostPort(s.node)); s.node != "" && through != nil {
		reason, next := through.Blame(hostPort(s.node))
		return fmt.Errorf("%s; %s", reason, next)
	}
	if s.node != "" && refusedAt.MatchString(text) {
		next := fmt.Sprintf("start it with assay node --home %s, or name another by --node", s.home)
		if _, err := os.Stat(filepath.Join(s.home, "config")); err != nil {
			next = fmt.Sprintf("%s is no node's folder: name one by --home, or a node by --node",
				s.home)
		}
		return fmt.Errorf("no node answers at %s; %s", s.node, next)
	}
	if text == "EOF" && s.tree == "tx" {
		return errors.New("there is no terminal to confirm the transaction at; --yes sends it " +
			"without")
	}
	return errors.New(text)
}
