package form_test

import (
	"slices"
	"testing"

	"otor/internal/dot"
	"otor/internal/form"
)

func TestFiles(t *testing.T) {
	f, err := form.New(form.Form{ID: "visit", Version: 1, Lane: dot.Record, Fields: []form.Field{
		{Name: "note", Kind: form.Text},
		{Name: "face", Kind: form.Image},
		{Name: "voice", Kind: form.Audio, Many: true},
		{Name: "who", Kind: form.Group, Fields: []form.Field{{Name: "sign", Kind: form.Image}}},
		{Name: "beasts", Kind: form.Repeat, Fields: []form.Field{{Name: "paper", Kind: form.File}, {Name: "name", Kind: form.Text}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := f.Files(map[string]any{
		"note": "a.jpg", "face": "b.jpg", "voice": []any{"c.ogg", "d.ogg"}, "who": map[string]any{"sign": "e.png"},
		"beasts": []any{map[string]any{"paper": "f.pdf", "name": "g"}, map[string]any{}, map[string]any{"paper": "b.jpg"}}, "unknown": "h.jpg",
	})
	if want := []string{"b.jpg", "c.ogg", "d.ogg", "e.png", "f.pdf"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := f.Files(nil); got != nil {
		t.Errorf("an empty sheet names %q", got)
	}
}
