package postgres_test

import (
	"testing"

	"otor/hub/store"
	"otor/hub/store/postgres"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// BenchmarkIngest commits entries as they come off frames: 200 of one chain a
// transaction, 150 bytes public and 160 private, with their lane.
//
//	go test ./hub/store/postgres -run xxx -bench Ingest -benchtime 200x
func BenchmarkIngest(b *testing.B) {
	s, err := postgres.Open(b.Context(), fresh(b), postgres.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // everything was committed
	const batch = 200
	next := dot.Seq(1)
	for b.Loop() {
		es := make([]store.Entry, batch)
		for i := range es {
			raw := entry.NewRaw(make([]byte, 150), make([]byte, 160))
			es[i] = store.Entry{
				Dot: chain.At(next), Hash: raw.Hash(), Raw: raw, Form: "visit", FormVersion: 1, EntityType: "household", Entity: "HH-0001", Actor: "U-7",
				Judgement: store.Judgement{Verdict: store.Applied},
			}
			next++
		}
		err := s.Ingest(b.Context(), func(tx store.Tx) error {
			l, err := tx.Lane(chain)
			if err != nil {
				return err
			}
			l.Received = l.Received.Add(lane.Run(es[0].Dot.Seq, next-1))
			if err := tx.Insert(es); err != nil {
				return err
			}
			return tx.SaveLane(l)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "entries/s")
}
