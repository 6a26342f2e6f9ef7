// SPDX-License-Identifier: Apache-2.0

package host

import (
	"cmp"
	"crypto/ed25519"
	"encoding/hex"
	"slices"

	"github.com/assaynet/assay/poc/mpoc"
)

// margin is how many times the standing of a machine that has a place another one
// needs to take it: two that work alike leave each other theirs.
const margin = 2

// place gives an admitted machine that connects a place, if there is one and it is
// not banned. One that gets none waits for the next epoch, at whose beginning places
// are ranked again. The caller holds h.workers.
func (h *Host) place(node string, key ed25519.PublicKey) bool {
	if h.banned(key) {
		delete(h.places, node)
		return false
	}
	if !h.places[node] && len(h.places) >= h.poolConfig().MaxNodes {
		h.waiting[node] = true
		return false
	}
	h.places[node] = true
	return true
}

// dismiss ends the admission of a machine that the pool has forgotten.
func (h *Host) dismiss(key mpoc.Key) {
	h.workers.Lock()
	defer h.workers.Unlock()
	if node := nodeName(key); h.admitted[node] == hex.EncodeToString(key[:]) {
		delete(h.admitted, node)
		delete(h.places, node)
	}
}

// tidy puts out who was banned since. At an epoch's begin it frees the places of
// machines that left, and ranks them by the work of the recent past.
func (h *Host) tidy(begin bool) {
	if begin {
		connected := map[string]bool{}
		for _, w := range h.fleet.Status() {
			connected[w.Node] = w.Connected
		}
		h.vacate(connected)
		h.rank(func(node string) uint64 {
			standing, err := h.pool.Recent(h.deviceKey(node))
			if err != nil {
				h.log.Error("the standing of a machine cannot be read; its place is ranked last", "node", node, "err", err)
			}
			return standing
		})
	}
	h.fleet.Recheck()
}

func (h *Host) vacate(connected map[string]bool) {
	h.workers.Lock()
	defer h.workers.Unlock()
	for node := range h.places {
		if !connected[node] {
			delete(h.places, node)
		}
	}
}

// rank gives machines that asked in vain for a place since the last time the free ones,
// the strongest first, and those of machines whose standing is margin times less,
// the weakest first. A place is held for its new machine until the next epoch.
func (h *Host) rank(standing func(node string) uint64) {
	type ranked struct {
		node     string
		standing uint64
	}
	list := func(set map[string]bool) (all []ranked) {
		h.workers.Lock()
		nodes := make([]string, 0, len(set))
		for node := range set {
			nodes = append(nodes, node)
		}
		h.workers.Unlock()
		for _, node := range nodes {
			all = append(all, ranked{node, standing(node)})
		}
		slices.SortFunc(all, func(a, b ranked) int {
			return cmp.Or(cmp.Compare(a.standing, b.standing), cmp.Compare(a.node, b.node))
		})
		return all
	}
	holders, challengers := list(h.places), list(h.waiting)
	slices.Reverse(challengers)
	h.workers.Lock()
	defer h.workers.Unlock()
	clear(h.waiting)
	for _, c := range challengers {
		if h.admitted[c.node] == "" || h.places[c.node] {
			continue
		}
		if len(h.places) < h.poolConfig().MaxNodes {
			h.places[c.node] = true
			continue
		}
		if len(holders) == 0 || c.standing/margin <= holders[0].standing {
			return // nor does any that follows
		}
		h.log.Info("a machine takes the place of one that has worked less", "node", c.node, "instead_of", holders[0].node)
		delete(h.places, holders[0].node)
		h.places[c.node], holders = true, holders[1:]
	}
}
