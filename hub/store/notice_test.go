package store_test

import (
	"testing"

	"otor/hub/store"
)

func TestOutcome(t *testing.T) {
	j := func(v store.Verdict, code string) store.Judgement { return store.Judgement{Verdict: v, Code: code} }
	for _, tc := range []struct {
		reasons []store.Judgement
		want    store.Judgement
	}{
		{nil, j(store.Applied, "")},
		{[]store.Judgement{j(store.Merged, "merged"), j(store.Flagged, "b"), j(store.Flagged, "a")}, j(store.Flagged, "a")},
		{[]store.Judgement{j(store.Review, "r"), j(store.Duplicate, "d"), j(store.Conflict, "c")}, j(store.Conflict, "c")},
		{[]store.Judgement{j(store.Conflict, "c"), j(store.Quarantined, "q")}, j(store.Quarantined, "q")},
	} {
		if got := store.Outcome(tc.reasons); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.reasons, got, tc.want)
		}
	}
}
