// SPDX-License-Identifier: Apache-2.0

// Package stream is continuous proof of compute: between two Sprints a machine proves with what its
// tasks leave idle, and is paid a part of what a Sprint pays. It is off until governance switches
// it on.
//
// A node commits one log after the other (msgs.go). Each is a log as those of the Sprint, of
// segment 1000 + its number, with a seed from the beacon shortly before it was begun, so its leaves
// could not be computed ahead; and of no more leaves than the node's own Sprint shows that it can
// have computed since its last commit (bound.go). Utilisation, which nobody can check, only lowers
// that.
//
// Nothing of a stream counts before it is judged. In the next epoch's Sprint leaves are drawn over
// the whole of it, opened, and judged beside the Sprint's own by a committee of their own; x/sprint
// does that, and asks here what there is to judge (claims.go). What was credited counts a tenth
// (nonce_weight) of the Sprint's, and never more than a part of it.
//
// State: what each node has committed, its logs, and a summary for each participant and epoch; all
// of it is dropped keep_epochs after the stream was settled.
package stream
