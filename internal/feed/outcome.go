package feed

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Outcome is what the hub made of an entry, for its author: the body of a row
// of kind [Verdict]. An entry that was simply applied has none, unless it was
// judged otherwise before.
type Outcome struct {
	Verdict string // a word of docs/protocol.md, "Verdicts"
	Code    string // for programs; empty when there is nothing to say
	Words   string // for people
	At      int64  // when the hub judged it so, Unix milliseconds of its clock
}

// maxWords bounds the words of an outcome in bytes. What operators write, 500 characters
// of any language, is never cut.
const maxWords = 4 << 10

// wireOutcome fixes the keys, version 1.
type wireOutcome struct {
	Verdict string `cbor:"1,keyasint"`
	Code    string `cbor:"2,keyasint,omitempty"`
	Words   string `cbor:"3,keyasint,omitempty"`
	At      int64  `cbor:"4,keyasint"`
}

// Encode gives the outcome's bytes. Words that are too long are cut.
func (o Outcome) Encode() ([]byte, error) {
	if len(o.Words) > maxWords {
		o.Words = strings.ToValidUTF8(o.Words[:maxWords-3], "") + "…"
	}
	return encMode.Marshal(wireOutcome(o))
}

// DecodeOutcome reads an outcome. Errors wrap [ErrInvalid].
func DecodeOutcome(b []byte) (Outcome, error) {
	var w wireOutcome
	if err := decMode.Unmarshal(b, &w); err != nil {
		return Outcome{}, fmt.Errorf("%w: an outcome: %w", ErrInvalid, err)
	}
	if w.Verdict == "" || !utf8.ValidString(w.Words) {
		return Outcome{}, fmt.Errorf("%w: an outcome without a verdict", ErrInvalid)
	}
	return Outcome(w), nil
}

// Returned reports whether the author has to do something about it: the hub
// has the entry and will not apply it as it is.
func (o Outcome) Returned() bool { return o.Verdict == "quarantined" || o.Verdict == "refused" }

// LacksForm reports whether the entry waits at the hub for its form: the hub has
// not published that version yet, and judges the entry once it has.
func (o Outcome) LacksForm() bool {
	return o.Verdict == "quarantined" && (o.Code == "form_newer" || o.Code == "form_unknown")
}

// EncodeGrant gives the body of a row of kind [Grant]: the scopes granted now.
func EncodeGrant(scopes []string) ([]byte, error) {
	if scopes == nil {
		scopes = []string{}
	}
	return encMode.Marshal(scopes)
}
