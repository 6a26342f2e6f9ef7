// SPDX-License-Identifier: Apache-2.0

// Package logaudit looks at the host's own logs before the host stands up for
// them on chain.
//
// A host that commits a log with forged leaves loses the epoch, and jail time,
// whoever forged them. So when a segment is over, and its logs can no longer
// change, as many leaves of each are drawn as the chain will draw of all, by a
// seed that no worker could know, and recomputed as the chain would do it
// (work.Judge: the fast engine first, what it disputes the definition decides):
//
//	running ──all right──▶ clean                       committed
//	   ├────no time left──▶ partial                    committed: right as far as it was looked at
//	   └────a leaf wrong──▶ out ──sequential test──▶   left out, and that is all the host loses
//	                                 faulty            the machine errs; no penalty beyond the leaves
//	                                 fraud             no machine errs so often
//
// Logs with the nearest deadline come first, and among them the one of which
// least was seen, so that no worker can make its log's turn never come. Those
// that are out already come last: what remains is to tell a fault from a fraud,
// by the test that M-PoC uses (audit.Flaky).
package logaudit
