package postgres_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"otor/hub/store"
	"otor/hub/store/postgres"
	"otor/internal/entry"
)

// TestEscape: every text comes back as it was, texts that differ stay apart, and
// what is written is text to PostgreSQL.
func TestEscape(t *testing.T) {
	odd := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"\x00", "\x01", "\x01\x01", "\x01\x02", "\x01\x03ff", "\x01\x03zz", "\xff", "\xc3", "\xed\xa0\x80", "ᠮᠣᠩᠭᠣᠯ", "号", "\uFFFD"}),
			rapid.String(), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4), func(b []byte) string { return string(b) }),
		), 0, 6).Draw(t, "parts")
		return strings.Join(parts, "")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := odd.Draw(t, "a"), odd.Draw(t, "b")
		ea, eb := postgres.Escape(a), postgres.Escape(b)
		if got := postgres.Unescape(ea); got != a {
			t.Fatalf("%q came back as %q", a, got)
		}
		if !utf8.ValidString(ea) || strings.Contains(ea, "\x00") {
			t.Fatalf("%q became %q, which PostgreSQL refuses", a, ea)
		}
		if (a == b) != (ea == eb) {
			t.Fatalf("%q and %q became %q and %q", a, b, ea, eb)
		}
		if utf8.ValidString(a) && utf8.ValidString(b) && (a < b) != (ea < eb) {
			t.Fatalf("%q and %q changed their order: %q, %q", a, b, ea, eb)
		}
	})
}

// TestOddTexts: what PostgreSQL takes for no text is kept all the same.
func TestOddTexts(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close() //nolint:errcheck // only read from
	for _, id := range []string{"HH\x00-1", "HH\x01-1", "HH\xff-1", strings.Repeat("\x00", 300), "户-1"} {
		want := store.Entity{Ref: entry.Ref{Type: "household", ID: id}, Rev: 1, State: []byte("s"), Scopes: []string{"a\x00b", "团"}}
		if err := s.Ingest(t.Context(), func(tx store.Tx) error { return tx.SaveEntities([]store.Entity{want}) }); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		got, err := s.Entity(t.Context(), want.Ref)
		if err != nil || got.Ref != want.Ref || strings.Join(got.Scopes, "|") != strings.Join(want.Scopes, "|") {
			t.Errorf("%q came back as %+v, %v", id, got, err)
		}
	}
}
