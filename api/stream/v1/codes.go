// SPDX-License-Identifier: Apache-2.0

package streamv1

// Codes of the refusals of a commit, in the order in which a commit is checked.
const (
	CodeOff         = 2 + iota // switched off, or the epoch is void
	CodeWindow                 // another epoch, or outside its window
	CodeNode                   // no member, jailed, or a node without a commit in the Sprint
	_                          // kept for a node whose stream is lost before it is judged
	CodeBlock                  // the second commit of the node in a block
	CodeCap                    // max_commits_per_epoch is reached
	CodeNumber                 // the log's number is not above the last
	CodeFew                    // fewer leaves than min_nonces_per_commit
	CodeUtilization            // over 10,000
	CodeRoot                   // not 32 bytes
	CodeSeed                   // the seed's height is outside its range
	CodeGrowth                 // more leaves than the node can have computed
	CodeSignature              // the host key does not sign it
)

// MaxNumber is the largest number of a log.
const MaxNumber = 1 << 30
