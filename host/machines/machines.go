// SPDX-License-Identifier: Apache-2.0

// Package machines says who may work at a host, and as which node: the machines
// that its owner named, and those of the pool that have a place. It binds them to
// the participant on chain ([Binder]).
package machines

import (
	"crypto/ed25519"
	"encoding/hex"
	"log/slog"
	"maps"
	"strings"
	"sync"

	"github.com/assaynet/assay/poc/signed"
)

// Config is what decides about machines.
type Config struct {
	// Workers are the owner's: hex keys by node id.
	Workers map[string]string
	// Reload reads them again, for a key that is not among them, so that
	// `assay host allow` acts without a restart.
	Reload func() (map[string]string, error)
	// Places is how many machines of the pool may be nodes at a time.
	Places int
	// Banned reports whether the ledger takes nothing more of a key.
	Banned func(key ed25519.PublicKey) bool
	Logger *slog.Logger
}

// Machines are those of one host. Safe for concurrent use.
type Machines struct {
	c Config

	mu sync.Mutex // guards c.Workers and what follows
	// machines of the pool that may be nodes: node id -> device key in hex
	admitted map[string]string
	places   map[string]bool // nodes of those that have a place now, at most c.Places
	waiting  map[string]bool // nodes of those that found none in this epoch
}

// New makes the list.
func New(c Config) *Machines {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Workers = maps.Clone(c.Workers)
	if c.Workers == nil {
		c.Workers = map[string]string{}
	}
	return &Machines{c: c, admitted: map[string]string{}, places: map[string]bool{},
		waiting: map[string]bool{}}
}

// Name is the node id of a machine of the pool.
func Name(key signed.Key) string { return "m-" + hex.EncodeToString(key[:6]) }

// Allow tells as which node a key may connect, if it may.
func (m *Machines) Allow(key ed25519.PublicKey) (node string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if node, ok := m.named(key); ok {
		return node, true
	}
	if node := Name(signed.Key(key)); m.admitted[node] == hex.EncodeToString(key) {
		return node, m.place(node, key)
	}
	fresh, err := m.c.Reload()
	if err != nil {
		return "", false
	}
	m.c.Workers = fresh
	return m.named(key)
}

// named finds one of the owner's machines.
func (m *Machines) named(key ed25519.PublicKey) (node string, ok bool) {
	text := hex.EncodeToString(key)
	for id, k := range m.c.Workers {
		if strings.EqualFold(k, text) {
			return id, true
		}
	}
	return "", false
}

// Admit lets a machine of which a proof was accepted be a node in the Sprint too:
// that costs work. Of two keys that begin alike the first one is. It has a place
// while there is room and is registered on chain when it connects.
func (m *Machines) Admit(key signed.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := Name(key)
	if _, named := m.c.Workers[node]; named {
		return
	}
	if _, known := m.named(key[:]); known {
		return
	}
	if _, taken := m.admitted[node]; !taken {
		m.admitted[node] = hex.EncodeToString(key[:])
	}
}

// Dismiss ends the admission of a machine that the pool has forgotten.
func (m *Machines) Dismiss(key signed.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if node := Name(key); m.admitted[node] == hex.EncodeToString(key[:]) {
		delete(m.admitted, node)
		delete(m.places, node)
	}
}

// Room is how many nodes this host wants on chain at most.
func (m *Machines) Room() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.c.Workers) + m.c.Places
}

// Gone reports whether a node is a pool's machine that is no more: not admitted, or
// banned, or, where room is needed, without a place.
func (m *Machines) Gone(node string, full bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, named := m.c.Workers[node]; named || !strings.HasPrefix(node, "m-") {
		return false
	}
	key, err := hex.DecodeString(m.admitted[node])
	return err != nil || len(key) == 0 || m.c.Banned(key) || full && !m.places[node]
}

// Key is the key that a node's machine has, the zero key where none has.
func (m *Machines) Key(node string) (key signed.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := m.admitted[node]
	if text == "" {
		text = m.c.Workers[node]
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(key) {
		return signed.Key{}
	}
	return signed.Key(raw)
}

// Node is the node id of a key: what its owner named it, or that of a machine of the pool.
func (m *Machines) Node(key signed.Key) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if node, ok := m.named(key[:]); ok {
		return node
	}
	return Name(key)
}

// Stranger reports whether a node is a machine of the pool that its owner did not
// name.
func (m *Machines) Stranger(node string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, named := m.c.Workers[node]
	return !named
}
