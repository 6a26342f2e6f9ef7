// SPDX-License-Identifier: Apache-2.0

package machines

import (
	"cmp"
	"crypto/ed25519"
	"slices"
)

// margin is how many times the standing of a machine that has a place another one
// needs to take it: two that work alike leave each other theirs.
const margin = 2

// place gives an admitted machine that connects a place, if there is one and it is
// not banned. One that gets none waits for the next epoch, at whose beginning places
// are ranked again. The caller holds m.mu.
func (m *Machines) place(node string, key ed25519.PublicKey) bool {
	if m.c.Banned(key) {
		delete(m.places, node)
		return false
	}
	if !m.places[node] && len(m.places) >= m.c.Places {
		m.waiting[node] = true
		return false
	}
	m.places[node] = true
	return true
}

// Vacate frees the places of machines that are not connected.
func (m *Machines) Vacate(connected map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for node := range m.places {
		if !connected[node] {
			delete(m.places, node)
		}
	}
}

// Rank gives machines that asked in vain for a place since the last time the free ones,
// the strongest first, and those of machines whose standing is margin times less,
// the weakest first. A place is held for its new machine until the next epoch.
func (m *Machines) Rank(standing func(node string) uint64) {
	type ranked struct {
		node     string
		standing uint64
	}
	list := func(set map[string]bool) (all []ranked) {
		m.mu.Lock()
		nodes := make([]string, 0, len(set))
		for node := range set {
			nodes = append(nodes, node)
		}
		m.mu.Unlock()
		for _, node := range nodes {
			all = append(all, ranked{node, standing(node)})
		}
		slices.SortFunc(all, func(a, b ranked) int {
			return cmp.Or(cmp.Compare(a.standing, b.standing), cmp.Compare(a.node, b.node))
		})
		return all
	}
	holders, challengers := list(m.places), list(m.waiting)
	slices.Reverse(challengers)
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.waiting)
	for _, c := range challengers {
		if m.admitted[c.node] == "" || m.places[c.node] {
			continue
		}
		if len(m.places) < m.c.Places {
			m.places[c.node] = true
			continue
		}
		if len(holders) == 0 || c.standing/margin <= holders[0].standing {
			return // nor does any that follows
		}
		m.c.Logger.Info("a machine takes the place of one that has worked less", "node", c.node,
			"instead_of", holders[0].node)
		delete(m.places, holders[0].node)
		m.places[c.node], holders = true, holders[1:]
	}
}
