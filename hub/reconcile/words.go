package reconcile

import (
	"slices"
	"strings"

	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/merge"
)

// Finding is what a domain may say of how entities are found.
type Finding interface {
	// Finds lists the fields by which entities of a type are found.
	Finds(typ string) []string
	// Mask says how a field is shown; what is masked is found whole or not at all.
	Mask(typ, field string) string
}

// The beginnings of words by which entities are found, beside those of package find.
const (
	wordID   = "i:"
	wordKind = "k:"
)

// WordOfID is the word of an entity's id, WordOfKind that of a type.
func WordOfID(id string) string { return wordID + strings.ToLower(id) }

// WordOfKind is the word of all entities of a type.
func WordOfKind(typ string) string { return wordKind + typ }

// EntityWords are the words by which an entity is found: its id, its type, and all
// values that stand in the fields that name it.
func EntityWords(d Finding, t *merge.Type, ref entry.Ref, s *merge.State) []string {
	texts, numbers := NamesOf(d, t, ref.Type, s)
	return append([]string{WordOfID(ref.ID), WordOfKind(ref.Type)}, find.Words(texts, numbers)...)
}

// NamesOf gives the texts and the whole numbers by which an entity is found.
func NamesOf(d Finding, t *merge.Type, typ string, s *merge.State) (texts, numbers []string) {
	for _, field := range d.Finds(typ) {
		register, _, _ := t.Register(field)
		for _, v := range s.Values(register) {
			text, ok := v.Get().(string)
			switch {
			case !ok || text == "":
			case d.Mask(typ, field) != "":
				numbers = append(numbers, find.Numbers(text)...)
			default:
				texts = append(texts, text)
			}
		}
	}
	return texts, numbers
}

// wordsOf are an entity's words as they are now; nil where nothing but its being
// there would change them, or where nobody says how it is found.
func (o *Round) wordsOf(h *held) []string {
	d, ok := o.r.cfg.Domain.(Finding)
	if !ok || h.row.Rev > 0 && len(d.Finds(h.row.Ref.Type)) == 0 {
		return nil
	}
	return EntityWords(d, o.r.cfg.Domain.Type(h.row.Ref.Type), h.row.Ref, h.state)
}

// saveWords replaces the words of entities that are found otherwise than before.
func (o *Round) saveWords() error {
	for _, h := range o.order {
		if h.words == nil || slices.Equal(h.words, h.had) {
			continue
		}
		if err := o.tx.SetEntityWords(h.row.Ref, h.words); err != nil {
			return err
		}
		h.had = h.words
	}
	return nil
}
