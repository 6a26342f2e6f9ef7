// SPDX-License-Identifier: Apache-2.0

package audit

// Rule says how many wrong leaves of a sample faulty hardware explains. The chain, a host that
// audits its own machines and a voter apply the same one.
type Rule struct {
	Fault Rate // how often healthy hardware errs
	Fail  Rate // a finding less likely than this is no accident
}

// NewRule reads a rule from a chain's parameters: the fault rate in millionths, and one in how many
// findings is no accident.
func NewRule(faultPpm uint32, failInverse uint64) Rule {
	return Rule{Fault: Rate{Num: uint64(faultPpm), Den: 1_000_000},
		Fail: Rate{Num: 1, Den: failInverse}}
}

// Beyond reports whether x wrong leaves of n are more than faulty hardware explains.
func (r Rule) Beyond(n, x uint64) bool { return x > 0 && x >= Threshold(n, r.Fault, r.Fail) }

// Node is what a sample found of one node's logs.
type Node struct {
	ID           string
	Drawn, Wrong uint64
}

// Judge leaves out nodes beyond the rule, and judges what remains together. condemned lists those
// left out, in the order given; drawn and wrong count the others. It passes what has a leaf left
// and is within the rule.
func (r Rule) Judge(nodes []Node) (condemned []string, drawn, wrong uint64, pass bool) {
	for _, n := range nodes {
		if r.Beyond(n.Drawn, n.Wrong) {
			condemned = append(condemned, n.ID)
			continue
		}
		drawn, wrong = drawn+n.Drawn, wrong+n.Wrong
	}
	return condemned, drawn, wrong, drawn > 0 && !r.Beyond(drawn, wrong)
}
