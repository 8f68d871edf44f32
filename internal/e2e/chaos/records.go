package chaos

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"otor/internal/corpus"
	"otor/internal/form"
)

func records(t testing.TB, forms *form.Registry, seed uint64, n int) string {
	t.Helper()
	src := corpus.New(seed, forms, 0, time.Date(2025, 9, 18, 5, 0, 0, 0, time.UTC))
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for range n {
		r := src.Next()
		if err := enc.Encode(map[string]any{"form": r.Form.ID, "entity": r.Entity, "user": r.Actor, "fields": r.Fields}); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
