package store

import (
	"context"
	"hash/fnv"

	"otor/internal/dot"
	"otor/internal/entry"
)

// Place is where an entry stands in the order of what happened: by its corrected
// time, then by numbers of the database's own. It means nothing to another database.
type Place struct{ Time, Chain, Seq int64 }

// Hit is an entry that was found.
type Hit struct {
	Place
	Dot dot.Dot
}

// FoundQuery looks for entries that have all of some words.
type FoundQuery struct {
	// Words are at least one and at most [MostWords]. What a word is, is settled by
	// whoever gives entries theirs; [Everything] is one that all have.
	Words []string
	// From and Until bound the corrected time: from is in, until is not; 0: none.
	From, Until int64
	Before      Place // exclusive; zero: from the newest on
	Limit       int   // at least 1
	// Look bounds how many that have the rarest word are looked at; at least 1.
	Look int
}

// MostWords bounds the words of one query.
const MostWords = 12

// The words that implementations themselves give entries.
const (
	// Everything is a word of every entry.
	Everything = "*"
	// OfVerdict and a verdict's name are a word of entries that have it, but for [Applied].
	OfVerdict = "v:"
)

// Found is what was found, the newest first.
type Found struct {
	Hits []Hit
	// Next is where to go on; zero when all were looked at. It may be there although
	// fewer than Limit were found, when Look ended the search.
	Next Place
}

// EntityHit is an entity that was found.
type EntityHit struct {
	Number int64 // of the order in which the hub came to know entities
	Entity Entity
}

// Unindexed says what an older hub left without words: the entries with arrival
// numbers above After up to Last, and the entities after one, in the order of
// [Entities.EntitiesOf]. Both are over when After is Last and Entities is false.
type Unindexed struct {
	After, Last int64
	Entities    bool
	AfterRef    entry.Ref
}

// Index finds entries and entities by words. It gives candidates: two words may be
// taken for one, so whoever asks looks at what was found.
type Index interface {
	Find(ctx context.Context, q FoundQuery) (Found, error)
	// FindEntities lists entities that have all words, by number above after.
	FindEntities(ctx context.Context, words []string, after int64, limit int) ([]EntityHit, error)
	Unindexed(ctx context.Context) (Unindexed, error)
}

// IndexTx is the part of a transaction that gives words.
type IndexTx interface {
	// AddWords adds to the words of an entry that is in the ledger, those of its own
	// among them. Adding again changes nothing.
	AddWords(d dot.Dot, words []string) error
	// Having lists the entries that have a word, in no order, at most limit.
	Having(word string, limit int) ([]dot.Dot, error)
	// SetEntityWords replaces the words of an entity that was saved.
	SetEntityWords(ref entry.Ref, words []string) error
	// SetUnindexed notes how far an older hub's entries and entities have their words.
	SetUnindexed(u Unindexed) error
}

// WordNumber is the number by which databases know a word: FNV-1a of its bytes,
// 64 bits, as a signed number.
func WordNumber(word string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(word)) // never fails
	return int64(h.Sum64())      //nolint:gosec // the bits are what counts
}
