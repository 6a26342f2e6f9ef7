// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cosmossdk.io/math"
	"github.com/spf13/cobra"

	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/assaynet/assay/accounts"
	registryv1 "github.com/assaynet/assay/api/registry/v1"
	"github.com/assaynet/assay/chain/app"
	chaincli "github.com/assaynet/assay/chain/cli"
	"github.com/assaynet/assay/chain/genesis"
	"github.com/assaynet/assay/chain/home"
	"github.com/assaynet/assay/host"
	hostcli "github.com/assaynet/assay/host/cli"
	"github.com/assaynet/assay/internal/durable"
	"github.com/assaynet/assay/internal/plain"
	"github.com/assaynet/assay/link"
	"github.com/assaynet/assay/poc/coin"
)

// initCommand makes what a network starts from.
func initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "init", Short: "Set up a participant, a network's genesis, or a node that joins",
		Long: `Set up what a network starts from. Its first participants each run

    assay init participant --chain-id ID --moniker NAME

and exchange the participant.json it writes; with all of them everybody makes the same genesis, and joins it:

    assay init genesis --chain-id ID --time 2026-12-01T12:00:00Z --participants a.json,b.json --output genesis.json
    assay init join --genesis genesis.json --participants a.json,b.json

A chain that cannot go on is started again from what it was:

    assay export --home ~/assay > export.json
    assay init genesis --chain-id NEW-ID --time 2026-12-01T12:00:00Z --from-export export.json

A participant that comes later runs the first command, joins the network's genesis, starts its node and its host, and
registers with assay host register.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(initParticipantCommand(), initGenesisCommand(), initJoinCommand())
	return cmd
}

func initParticipantCommand() *cobra.Command {
	var o home.Options
	var nodes map[string]string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "participant", Short: "Make the keys and settings of a participant",
		Args: cobra.NoArgs,
		Long: `Make a participant's folder: the keys of its node and host, two accounts (operator and hot), settings, and
participant.json, which is public and all that others need. The accounts are kept in files that a passphrase opens; without a
terminal it is read from the file (mode 0600) that ASSAY_KEYRING_PASSPHRASE_FILE names, here and by every other command.
Keys and settings that exist are kept, so the command may run
again, for example with --nodes, whose proofs need to know the operator's address.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Nodes, err = parseNodes(nodes); err != nil {
				return err
			}
			if o.Settings.MinGasPrice, err = gasPrice(o.Settings.MinGasPrice); err != nil {
				return err
			}
			if o.KeyringBackend, err = accounts.Choose(o.Dir, o.KeyringBackend); err != nil {
				return err
			}
			keys, err := home.OpenKeyring(o.Dir, o.KeyringBackend, cmd.InOrStdin())
			if err != nil {
				return err
			}
			// before anything is made that a second try would find
			if err := keys.Unlock(); err != nil {
				return err
			}
			o.Keys = keys
			if o.HostKey, err = hostKey(o.Dir); err != nil {
				return err
			}
			made, err := home.Create(o)
			for _, name := range slices.Sorted(maps.Keys(made.Mnemonics)) { // whatever comes next
				fmt.Fprintf(cmd.ErrOrStderr(), "Words of the %s account; keep them, they are "+
					"shown once:\n  %s\n", name, made.Mnemonics[name])
			}
			if err != nil {
				return err
			}
			if err := writeHost(o, made.Participant); err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(made.Participant)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "participant %s\naddress     %s\nhot         %s\npeer "+
				"       %s\npublic      %s\n",
				made.Participant.Moniker, made.Participant.Address, made.Participant.Hot,
				made.Participant.Peer, filepath.Join(o.Dir, home.Public))
			return nil
		},
	}
	f := cmd.Flags()
	chaincli.AddHome(f, &o.Dir)
	f.StringVar(&o.Chain, "chain-id", "", "the network's id; proofs of key possession are bound "+
		"to it")
	f.StringVar(&o.Moniker, "moniker", "", "a name for people")
	f.StringVar(&o.KeyringBackend, "keyring-backend", "", "where accounts are kept from now on: "+
		"file (a passphrase opens it), os, or test (unprotected); default file, or what the "+
		"home has")
	f.StringToStringVar(&nodes, "nodes", nil, "machines as id=key:proof in hex, as assay-worker "+
		"id prints them; may be repeated")
	f.StringVar(&o.Settings.P2P, "p2p", "0.0.0.0:26656", "where the node listens for peers")
	f.StringVar(&o.Settings.External, "external", "", "where peers find the node, host:port, if "+
		"that is another address")
	f.StringVar(&o.Settings.RPC, "rpc", "127.0.0.1:26657", "where the node serves CometBFT's RPC")
	f.StringVar(&o.Settings.GRPC, "grpc", "127.0.0.1:9090", "where the node serves gRPC; its "+
		"host talks to it")
	f.StringVar(&o.Settings.API, "api", "127.0.0.1:1317", "where the node serves REST")
	f.StringVar(&o.Settings.MinGasPrice, "min-gas-price", home.DefaultMinGasPrice,
		"least price per gas that the node takes from others, such as 1000000000acpc")
	f.BoolVar(&asJSON, "json", false, "print participant.json")
	for _, name := range []string{"chain-id", "moniker"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag stands a few lines above
		}
	}
	return cmd
}

// writeHost makes host.toml where there is none.
func writeHost(o home.Options, p home.Participant) error {
	if _, err := os.Stat(host.ConfigPath(o.Dir)); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	workers := make(map[string]string)
	for _, n := range p.Nodes {
		workers[n.ID] = hex.EncodeToString(n.Key)
	}
	return host.Config{
		Chain: o.Chain, Participant: p.Address, GRPC: o.Settings.GRPC, Key: home.Hot,
		KeyringBackend: o.KeyringBackend,
		Listen:         "0.0.0.0:4710", Status: "127.0.0.1:4711", Workers: workers,
	}.Save(o.Dir)
}

// hostKey is the key of a folder's host: made with the participant, and read from then on.
func hostKey(dir string) (ed25519.PrivateKey, error) {
	if _, err := home.ReadParticipant(filepath.Join(dir, home.Public)); err == nil {
		return hostcli.Key(dir)
	}
	return link.LoadKey(filepath.Join(dir, hostcli.HostKeyFile))
}

// parseNodes reads id=key:proof.
func parseNodes(nodes map[string]string) ([]registryv1.Node, error) {
	var all []registryv1.Node
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		first, second, found := strings.Cut(nodes[id], ":")
		key, err1 := hex.DecodeString(first)
		proof, err2 := hex.DecodeString(second)
		if !found || err1 != nil || err2 != nil {
			return nil, fmt.Errorf("--nodes %s=%s: want id=key:proof, both in hex", id, nodes[id])
		}
		all = append(all, registryv1.Node{Id: id, Key: key, Proof: proof})
	}
	return all, nil
}

func initGenesisCommand() *cobra.Command {
	var chain, preset, at, output, export string
	var files, faucets []string
	var stipend int64
	cmd := &cobra.Command{
		Use: "genesis", Short: "Make a network's first state from its participants, or from an " +
			"older chain's export", Args: cobra.NoArgs,
		Long: `Make the first state of a network. With --participants it is a new one, in which all of them weigh the same, and each
operator's account starts with the coins of the preset (--stipend).

With --from-export it goes on from an older chain: accounts, balances, grants, parameters, registrations, deposits and weights
are those of the file that assay export wrote; epochs, fees and proposals stay behind. The export is trusted: make it of your
own node's state.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			start := time.Now()
			var err error
			if at != "" {
				if start, err = time.Parse(time.RFC3339, at); err != nil {
					return fmt.Errorf("--time %q: want a time such as 2026-12-01T12:00:00Z", at)
				}
			}
			if export != "" {
				old, err := genutiltypes.AppGenesisFromFile(export)
				if err != nil {
					return fmt.Errorf("--from-export %s: want a file that assay export wrote: %w",
						export, err)
				}
				g, err := genesis.FromExport(genesis.Restart{Chain: chain,
					Time: start, Export: old})
				if err != nil {
					return err
				}
				return writeGenesis(cmd, output, g, "from an export of "+old.ChainID)
			}
			o := genesis.Options{Chain: chain, Time: start}
			var known bool
			if o.Preset, known = genesis.Presets()[preset]; !known {
				return fmt.Errorf("--preset %q: choose %s", preset,
					strings.Join(slices.Sorted(maps.Keys(genesis.Presets())), " or "))
			}
			if cmd.Flags().Changed("stipend") {
				if stipend < 0 {
					return fmt.Errorf("--stipend %d: want a number of CPC, or 0 for none", stipend)
				}
				o.Preset.Stipend = stipend
			}
			if o.Participants, err = readParticipants(files); err != nil {
				return err
			}
			for _, text := range faucets {
				b, err := parseBalance(text)
				if err != nil {
					return fmt.Errorf("--faucet %s: %w", text, err)
				}
				o.Balances = append(o.Balances, b)
			}
			g, err := genesis.Build(o)
			if err != nil {
				return err
			}
			return writeGenesis(cmd, output, g,
				fmt.Sprintf("with %d participants", len(o.Participants)))
		},
	}
	f := cmd.Flags()
	f.StringVar(&chain, "chain-id", "", "the network's id")
	f.StringSliceVar(&files, "participants", nil, "participant.json of everybody, separated by "+
		"commas; the order does not matter")
	f.StringVar(&preset, "preset", "main", "parameters to start with: main, or localnet for one "+
		"machine")
	f.Int64Var(&stipend, "stipend", 0, "what each operator's account starts with, in CPC "+
		"(default 100, with --preset localnet 1000)")
	f.StringVar(&export, "from-export", "", "go on from an older chain: the file that assay "+
		"export wrote")
	f.StringVar(&at, "time", "", "when the chain starts; now by default. Everybody has to name "+
		"the same")
	f.StringArrayVar(&faucets, "faucet", nil, "an account with coins as address:amount, such as "+
		"cpc1...:1000cpc; may be repeated")
	f.StringVar(&output, "output", "genesis.json", "file to write")
	if err := cmd.MarkFlagRequired("chain-id"); err != nil {
		panic(err) // the flag stands a few lines above
	}
	cmd.MarkFlagsOneRequired("participants", "from-export")
	for _, name := range []string{"participants", "preset", "faucet", "stipend"} {
		cmd.MarkFlagsMutuallyExclusive(name, "from-export")
	}
	return cmd
}

// writeGenesis writes the file and says what is in it.
func writeGenesis(cmd *cobra.Command, output string, g *genutiltypes.AppGenesis,
	made string) error {
	text, err := genesis.Encode(g)
	if err != nil {
		return err
	}
	// a pipe is nobody's genesis
	if info, err := os.Stat(output); err == nil && info.Mode().IsRegular() {
		was, err := os.ReadFile(output)
		if err != nil {
			return err
		}
		if len(was) > 0 && !bytes.Equal(was, text) {
			return fmt.Errorf("%s is there already, and is another file: move it away, or choose "+
				"another --output", output)
		}
	}
	if err := durable.WriteFile(output, text, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %s, starting at %s\n", output, g.ChainID, made,
		g.GenesisTime.Format(time.RFC3339))
	return err
}

// gasPrice puts the base unit into a price.
func gasPrice(text string) (string, error) {
	n, err := coin.Parse(text)
	if err != nil {
		return "", fmt.Errorf("--min-gas-price: %w", err)
	}
	return n.String() + coin.Base, nil
}

// parseBalance reads address:amount.
func parseBalance(text string) (genesis.Balance, error) {
	address, amount, found := strings.Cut(text, ":")
	if !found {
		return genesis.Balance{}, errors.New("want address:amount, such as cpc1...:1000cpc")
	}
	if _, err := app.Addresses().StringToBytes(address); err != nil {
		return genesis.Balance{}, fmt.Errorf("address %q: %w", address, err)
	}
	n, err := coin.Parse(amount)
	if err != nil {
		return genesis.Balance{}, err
	}
	if n.Sign() == 0 {
		return genesis.Balance{}, fmt.Errorf("%q is nothing", amount)
	}
	return genesis.Balance{Address: address, Amount: math.NewIntFromBigInt(n)}, nil
}

func readParticipants(files []string) ([]home.Participant, error) {
	var all []home.Participant
	for _, file := range files {
		p, err := home.ReadParticipant(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func initJoinCommand() *cobra.Command {
	var dir, file, moniker string
	var peers, files []string
	cmd := &cobra.Command{
		Use: "join", Short: "Give a folder a network's genesis and peers; a new folder becomes a " +
			"node that follows", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := plain.Read(file)
			if err != nil {
				return fmt.Errorf("%w; name the network's genesis by --genesis", err)
			}
			g, err := genesis.Parse(text)
			if err != nil {
				return fmt.Errorf("--genesis %s: %w", file, err)
			}
			others, err := readParticipants(files)
			if err != nil {
				return err
			}
			own, err := home.ReadParticipant(filepath.Join(dir, home.Public))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if own.Chain != "" && own.Chain != g.ChainID {
				return fmt.Errorf("%s is participant %q of chain %s, and the genesis is of chain "+
					"%s: choose another --home, or that chain's genesis", dir, own.Moniker,
					own.Chain, g.ChainID)
			}
			for _, p := range others {
				if p.Chain != g.ChainID {
					return fmt.Errorf("participant %q is of chain %s, and the genesis is of "+
						"chain %s", p.Moniker, p.Chain, g.ChainID)
				}
				if p.Peer != own.Peer {
					peers = append(peers, p.Peer)
				}
			}
			if err := home.Join(dir, text, peers, home.Settings{}, moniker); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is ready for chain %s: assay node --home %s\n",
				dir, g.ChainID, dir)
			if len(peers) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "No peers were named: the node finds nobody "+
					"unless others dial it. Name some by --peers or --participants.")
			}
			return nil
		},
	}
	chaincli.AddHome(cmd.Flags(), &dir)
	cmd.Flags().StringVar(&file, "genesis", "genesis.json", "the network's genesis")
	cmd.Flags().StringSliceVar(&peers, "peers", nil, "nodes to connect to, as id@host:port")
	cmd.Flags().StringSliceVar(&files, "participants", nil, "participant.json of others, whose "+
		"nodes to connect to")
	cmd.Flags().StringVar(&moniker, "moniker", "node", "the node's name, for a new folder")
	return cmd
}
