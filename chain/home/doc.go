// SPDX-License-Identifier: Apache-2.0

// Package home makes and reads a participant's folder:
//
//	config/config.toml                CometBFT: peers, ports, block times
//	config/app.toml                   the app: gRPC, REST, gas prices, pruning
//	config/genesis.json               the network's first state, once there is one
//	config/node_key.json              names the node among its peers
//	config/priv_validator_key.json    signs blocks: the consensus key
//	config/vrf_key.json               feeds the beacon
//	config/rotation-N, data/rotation-N   the same files, of the Nth rotation of keys
//	keyring/                          the operator's account and the hot one
//	participant.json                  all that others need to know; public
//	data/                             what the node keeps
//
// Unknown keys in the two files of settings are refused: a mistyped one would be off
// without a word.
//
// Create may run again on a folder: keys that exist are kept, because a key that
// was registered cannot be replaced; settings are written once and belong to the
// owner from then on; participant.json is written again.
//
// Anyone who obtains a participant's folder can vote and propose in its place;
// who gets hold of the keyring with the hot account can also commit and vote on
// work, but move no coins; only the operator's account holds anything of value,
// and it may be kept elsewhere: it signs the registration and grants, no more.
package home
