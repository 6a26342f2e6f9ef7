// SPDX-License-Identifier: Apache-2.0

//go:build unix

package network

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The parts of the README that are run, each by a test of its own.
const (
	byHand  = "TestTheREADMEByHand"
	joining = "TestTheREADMEJoining"
	onHost  = "TestTheREADMELocalnet" // with ASSAY_LONG=1
)

// decided says of every command of the README which test runs it, or why none does. A command that
// is not in it fails TestEveryCommandOfTheREADMEIsDecided, and so does one that has gone from the
// README.
var decided = map[string]string{
	"go run ./cmd/assay localnet": onHost,
	"go test ./...":               "not run: it runs this test",

	`assay keys add pay --home ~/assay`: byHand,
	`assay tx bank send operator "$(assay keys show pay -a --home ~/assay)" 20cpc --home ~/assay`: byHand,
	`assay host --pool --home ~/assay`:                       byHand,
	`assay-worker start --host 'assay://…#…' --payout cpc1…`: byHand,
	`assay-worker status`:                                    byHand,
	`assay-worker doctor --host URL`:                         byHand,
	`assay verify FILE|FOLDER`:                               byHand,
	`assay audit explain`:                                    byHand,
	`assay localnet --pool`: "not run: TestStrangersAtAPool " +
		"runs such a network",

	`assay init participant --home ~/assay --chain-id my-net --moniker alice`:                                                   byHand,
	`assay init genesis --chain-id my-net --time 2026-12-01T12:00:00Z --participants alice.json,bob.json --output genesis.json`: byHand,
	`assay init join --home ~/assay --genesis genesis.json --participants alice.json,bob.json`:                                  byHand,
	`export ASSAY_KEYRING_PASSPHRASE_FILE=FILE`:                                                                                 byHand,
	`assay node --home ~/assay`:               byHand,
	`assay host --home ~/assay`:               byHand,
	`assay-worker id`:                         byHand,
	`assay host allow KEY --home ~/assay`:     byHand,
	`assay-worker start --host 'assay://…#…'`: byHand,
	`export ASSAY_HOME=~/assay`:               byHand,
	`assay host`:                              "not run: TestAHostOnATerminal runs it",
	`assay host rotate-keys`: "not run: TestKeysRotateWithoutAMissedEpoch " +
		"runs it",
	`assay host status`:   byHand,
	`assay host check`:    byHand,
	`assay host payments`: byHand,
	`assay tx bank send operator cpc1… 1.5cpc --home ~/assay`: byHand,
	`assay query bank balances cpc1… --home ~/assay`:          byHand,
	`assay completion SHELL`:                                  byHand,
	`assay-worker completion SHELL`:                           byHand,
	`make man`: "not run: the tests of " +
		"internal/commands write the pages",

	`go build -o . ./cmd/...`: joining,
	`./assay init participant --home ~/p5 --chain-id $CHAIN --moniker p5 --keyring-backend test --min-gas-price 0cpc`: joining,
	`./assay init join --home ~/p5 --genesis $NET/p1/config/genesis.json --peers $PEER`:                               joining,
	`./assay node --home ~/p5 &`: joining,
	`./assay tx bank send faucet $(./assay keys show operator -a --home ~/p5) 10cpc --home $NET/p1 --yes`: joining,
	`./assay host allow $(./assay-worker id --home ~/p5/worker | awk '/^key/{print $2}') --home ~/p5`:     joining,
	`./assay host --home ~/p5 &`:                                                     joining,
	`./assay host register --home ~/p5 --moniker p5`:                                 joining,
	`./assay-worker start --host $(./assay host url --home ~/p5) --home ~/p5/worker`: joining,
	`assay tx registry leave`: "not run: " +
		"it takes the participant out; chain/x/registry tests what follows",
	`make help`: "not run: it prints the targets",
	`make long`: "not run: it prints targets too",
}

// measured are sections whose commands print figures, and take hours.
var measured = []string{"Figures", "Status"}

// shown are the first words of indented text that is what a program prints.
var shown = []string{"epoch"}

// programs are the first words of a command.
var programs = regexp.MustCompile(
	`^(\./)?(assay|assay-worker|go|make|export|\./test/\S+|test/\S+) \S`)

// inline finds what stands between backquotes.
var inline = regexp.MustCompile("`([^`]+)`")

// command is one of the README, without its comment.
type command struct {
	section, text string
	block         int // its block, 0 for those within the prose
}

// readme returns all commands of a text, in order.
func readme(text string) (all []command, strange []string) {
	section, block, prose := "", 0, ""
	flush := func() {
		for _, m := range inline.FindAllStringSubmatch(prose, -1) {
			if programs.MatchString(m[1]) {
				all = append(all, command{section, m[1], 0})
			}
		}
		prose = ""
	}
	inBlock, output := false, false
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimRight(line, "\n")
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented:
			flush()
			first, _, _ := strings.Cut(strings.TrimSpace(code), " ")
			if !inBlock {
				inBlock, output = true, slices.Contains(shown, first)
				block++
			}
			code, _, _ = strings.Cut(code, "  #")
			if code = strings.TrimSpace(code); output || slices.Contains(measured, section) {
				break
			}
			if !programs.MatchString(code) {
				strange = append(strange, code)
			}
			all = append(all, command{section, code, block})
		case strings.HasPrefix(line, "#"):
			flush()
			inBlock, section = false, strings.TrimLeft(line, "# ")
		case strings.TrimSpace(line) == "":
			flush()
			inBlock = false
		case slices.Contains(measured, section):
		case strings.HasPrefix(line, "```"):
			strange = append(strange, line) // blocks are indented
		default:
			prose += line + " "
		}
	}
	return all, strange
}

func commandsOfTheREADME(t testing.TB) []command {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	all, strange := readme(string(text))
	if len(strange) > 0 {
		t.Fatalf("README.md: no command and no known output: %q", strange)
	}
	return all
}

// Every command of the README is run by a test as it stands, or there is a reason why it is not.
func TestEveryCommandOfTheREADMEIsDecided(t *testing.T) {
	there := map[string]bool{}
	for _, c := range commandsOfTheREADME(t) {
		there[c.text] = true
		switch by := decided[c.text]; {
		case by == "":
			t.Errorf("README.md, %s: %q is run by no test: run it, or give the reason in decided",
				c.section, c.text)
		case by != byHand && by != joining && by != onHost && !strings.HasPrefix(by, "not run: "):
			t.Errorf("%q: %q is neither a test nor a reason", c.text, by)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(decided)) {
		if !there[text] {
			t.Errorf("README.md has no command %q any longer", text)
		}
	}
}

// What readme finds, and what it stumbles over.
func TestCommandsOfAText(t *testing.T) {
	all, strange := readme("# A\n\nDo `assay keys\nlist`, not `keys`.\n\n    assay node --home " +
		"~/x   # it runs\n    rm -r /\n\nsee:\n\n    epoch 1 finalised\n    assay is shown\n\n## " +
		"Figures\n\n    make bench\n")
	want := []command{{"A", "assay keys list", 0}, {"A", "assay node --home ~/x", 1},
		{"A", "rm -r /", 1}}
	if !slices.Equal(all, want) || !slices.Equal(strange, []string{"rm -r /"}) {
		t.Errorf("%v, strange %q", all, strange)
	}
}
