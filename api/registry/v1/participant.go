// SPDX-License-Identifier: Apache-2.0

package registryv1

// NodesAt is the list of machines that is frozen for an epoch: changes made in an epoch count from
// the next one on. It knows the current epoch and the one to come; what was frozen for earlier ones
// is forgotten.
func (p Participant) NodesAt(epoch uint64) []Node {
	if p.NodesEpoch >= epoch {
		return p.PreviousNodes
	}
	return p.Nodes
}

// TakesPart reports whether a participant may be in the roster of an epoch: it registered before
// the epoch began and has not left.
func (p Participant) TakesPart(epoch uint64) bool {
	return p.JoinedEpoch < epoch && (p.LeftFrom == 0 || epoch < p.LeftFrom)
}
