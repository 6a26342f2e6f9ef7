// SPDX-License-Identifier: Apache-2.0

package commit_test

import (
	"crypto/ed25519"
	"fmt"

	"github.com/assaynet/assay/poc/commit"
	"github.com/assaynet/assay/poc/record"
)

// A host commits to a node's records and later opens some of them.
func Example() {
	var log commit.Log
	var hashes []commit.Hash
	for nonce := range uint64(1000) {
		leaf := record.Leaf{Class: 1, Node: "gpu-0", Index: nonce,
			Record: record.Record{Norm: 500 + nonce}}
		hashes = append(hashes, leaf.Hash())
		log.Append(leaf.Hash())
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	statement := commit.Statement{
		Chain: "assay-test", Epoch: 7, Segment: 1, Participant: "cpc1example",
		Node: "gpu-0", Class: "nano", Seed1: commit.Hash{1}, SegmentSeed: commit.Hash{2},
		Root: log.Root(), Count: log.Size(),
	}
	signature := statement.Sign(key)

	drawn := []uint64{17, 400, 999} // by the chain, after the statement
	opening, err := commit.Multi(&log, statement.Count, drawn)
	if err != nil {
		fmt.Println(err)
		return
	}

	// Anyone who checks has the statement, the leaves and the opening.
	public := key.Public().(ed25519.PublicKey)
	fmt.Println("signed:", statement.Verify(public, signature) == nil)
	leaves := []commit.Hash{hashes[17], hashes[400], hashes[999]}
	fmt.Println("opened:", commit.VerifyMulti(statement.Root, statement.Count, drawn,
		leaves, opening) == nil)
	fmt.Println(len(opening), "hashes, at most", commit.MultiSize(1000, 3))
	// Output:
	// signed: true
	// opened: true
	// 23 hashes, at most 25
}
