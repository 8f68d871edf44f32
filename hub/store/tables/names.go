package tables

import (
	"otor/internal/dot"
)

// maxNames bounds what is remembered of one kind; beyond it, it starts afresh.
// Words above maxWord bytes are not remembered.
const (
	maxNames = 16 << 10
	maxWord  = 256
)

// names remembers the numbers that the database gave to chains or terms, and
// forgets those of a transaction that was rolled back. Owner: the writer's.
type names[K comparable] struct {
	ids   map[K]int64
	fresh []K // made or looked up in the transaction that runs
}

func newNames[K comparable]() *names[K] { return &names[K]{ids: make(map[K]int64)} }

func (n *names[K]) add(k K, id int64) {
	if len(n.ids) >= maxNames {
		clear(n.ids)
	}
	n.ids[k] = id
	n.fresh = append(n.fresh, k)
}

// keep is called after a commit.
func (n *names[K]) keep() { n.fresh = n.fresh[:0] }

// forget is called after a rollback.
func (n *names[K]) forget() {
	for _, k := range n.fresh {
		delete(n.ids, k)
	}
	n.fresh = n.fresh[:0]
}

// chain gives the number of a chain, 0 when it has none and add is false.
func (w *writer) chain(c dot.Chain, add bool) (int64, error) {
	if id, ok := w.chains.ids[c]; ok {
		return id, nil
	}
	var id int64
	args := []any{string(c.Device), int64(c.Incarnation), int64(c.Lane)}
	found, err := w.one("SELECT id FROM chains WHERE device = ? AND incarnation = ? AND lane = ?", args,
		func(s Row) error { id = s.Int64(0); return nil })
	if err != nil || (!found && !add) {
		return 0, err
	}
	if !found {
		if err := c.Check(); err != nil {
			return 0, err
		}
		if err := w.number("INSERT INTO chains (device, incarnation, lane) VALUES (?, ?, ?) RETURNING id", args, &id); err != nil {
			return 0, err
		}
	}
	w.chains.add(c, id)
	return id, nil
}

// term gives the number of a word, adding it when it is new. nil for "".
func (w *writer) term(word string) (any, error) {
	if word == "" {
		return nil, nil
	}
	if id, ok := w.terms.ids[word]; ok {
		return id, nil
	}
	var id int64
	found, err := w.one("SELECT id FROM terms WHERE term = ?", []any{word},
		func(s Row) error { id = s.Int64(0); return nil })
	if err != nil {
		return nil, err
	}
	if !found {
		if err := w.number("INSERT INTO terms (term) VALUES (?) RETURNING id", []any{word}, &id); err != nil {
			return nil, err
		}
	}
	if len(word) <= maxWord {
		w.terms.add(word, id)
	}
	return id, nil
}
