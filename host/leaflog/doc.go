// SPDX-License-Identifier: Apache-2.0

// Package leaflog keeps the records a host acknowledged to its workers.
//
// What a worker sends is worth pay only as long as the host can open any leaf
// of the log it committed to. So there is one promise: when [Log.Append]
// returns, the batch survives a crash of the program, of the kernel and of the
// power. A host sends no acknowledgement before that.
//
// There is one log per epoch, node and segment, one file per log:
//
//	<dir>/<epoch>/<node>.<segment>.leaves
//
// A file is a header that names the log, then one frame per batch: its bodies,
// the machine's signature under them (64 bytes; [Log.Batch] gives it back, for
// evidence), and a CRC32C that also covers the header, so that a frame cannot be
// moved between files (frame.go). Frames are written one at a time, each made durable before
// the next: whatever a crash leaves unfinished is the last one. On opening, an
// unfinished last frame is cut off (repair.go tells it from damage). Nothing else
// is ever rewritten.
//
// A disk that fails costs the batch that it did not take, which is not acknowledged.
// What is stored is read as before, and the log goes on once the disk does: it cuts
// the file back to the last durable frame, writes that page again and syncs it.
//
// Damage is anything else that is not as it was written. One bit that changed is found by the
// checksum and read as it was (mend.go). More of them cost their batch and those behind it: the log
// ends before them ([Log.Damage] says where and why), is read up to there, takes nothing more, and
// the file stays for whoever can restore it. A log that was committed to is made whole from the
// batches that are intact and what the caller computes again between them ([Store.Restore]). A file
// whose header is unreadable, or of another version, is refused by itself; the other logs do not
// notice.
//
// A log answers for its Merkle tree ([commit.Subtrees]) without holding it:
// in memory are the roots of the complete blocks of 1,024 leaves and where each
// block starts in the file, 48 bytes per 1,024 leaves; below that, one block at
// a time is read and hashed again. Leaf i is the canonical commit.Leaf of the
// log's form and node with index i. What is in a body is its kind of work's; here it
// is bytes of one length.
//
// A worker that lies fills a file with its lies, at most as fast as it may
// send; it cannot write into another log, since the caller chooses the key.
package leaflog
