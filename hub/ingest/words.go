package ingest

import (
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/find"
)

// The words by which entries are found begin with what they are about; those of their
// texts are package find's.
const (
	wordDevice   = "d:"
	wordForm     = "f:"
	wordEntity   = "e:" // an id; of whatever type
	wordCorrects = "c:" // the entry that is corrected
)

// WordsAbout are the words of entries of a device, of a form and about an entity;
// empty ones are none.
func WordsAbout(d dot.Device, form, entity string) (out []string) {
	for _, w := range [][2]string{{wordDevice, string(d)}, {wordForm, form}, {wordEntity, entity}} {
		if w[1] != "" {
			out = append(out, w[0]+w[1])
		}
	}
	return out
}

// WordOfCorrection is the word of entries that correct d.
func WordOfCorrection(d dot.Dot) string { return wordCorrects + d.String() }

// words are those of an entry. What it answers is among them when its form is here:
// without one nobody knows what of it is a person's number.
func words(e *store.Entry, pub entry.Public, priv entry.Private, cfg Config) []string {
	out := WordsAbout(e.Dot.Device, e.Form, "")
	for _, r := range pub.Refs {
		if canBe(pub.Dot.Device, r) {
			out = append(out, wordEntity+r.ID)
		}
	}
	if pub.Corrects != nil {
		out = append(out, WordOfCorrection(*pub.Corrects))
	}
	if pub.System != "" || e.Raw.Erased() {
		return out
	}
	f, err := cfg.Forms.Form(e.Form, e.FormVersion)
	if err != nil {
		return out
	}
	if priv.Fields == nil { // it is set aside, and was not read
		if priv, err = entry.DecodePrivate(e.Raw.Private); err != nil {
			return out
		}
	}
	return append(out, find.Words(find.Record(f, priv.Fields, cfg.Masks))...)
}
