package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otor/agent/store"
	"otor/agent/store/yardstick"
	"otor/internal/dot"
	"otor/internal/entry"
)

// visit is a typical capture: a household visit with a position and a dozen answers.
func visit(tb testing.TB, i int) store.Draft {
	tb.Helper()
	private, err := entry.Private{
		Salt: [16]byte{byte(i), byte(i >> 8), byte(i >> 16)},
		Fields: map[string]any{
			"household": "H-NB-07", "present": true, "sheep": int64(212 + i%7), "goats": int64(64), "cattle": int64(11),
			"camels": int64(3), "topics": []any{"policy_grass_livestock", "after_storm_check"},
			"needs": "hay for two weeks, and the well pump does not start", "method": "id_card_and_face_photo",
		},
	}.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return store.Draft{
		Lane: dot.Record, Private: private,
		Public: entry.Public{
			Wall: 1_790_000_000_000 + int64(i), Zone: 480, Actor: "u-naran", Form: entry.FormRef{ID: "visit", Version: 1},
			Offset: &entry.Offset{Millis: -120, Age: 3600}, Refs: []entry.Ref{{Type: "household", ID: "H-NB-07"}},
			Position: &entry.Position{Lon: 105_666_123, Lat: 38_844_321, Accuracy: 52, Source: entry.GNSS, Age: 4},
		},
	}
}

// BenchmarkP1 measures durable captures per second of several writers against
// two references of the same run: one append and fdatasync a record on that
// disk, and Badger with one transaction a record.
func BenchmarkP1(b *testing.B) {
	for _, writers := range []int{16, 64} {
		b.Run(fmt.Sprintf("%dwriters", writers), func(b *testing.B) {
			const records = 4000
			for b.Loop() {
				var ours, file, bare []float64
				for range 3 { // alternate, so that a slow moment of the disk hits all three
					file = append(file, perSecond(500, appendAndSync(b, 500)))
					ours = append(ours, perSecond(records, captures(b, writers, records)))
					bare = append(bare, perSecond(1000, bareBadger(b, writers, 1000)))
				}
				o, f, g := median(ours), median(file), median(bare)
				b.ReportMetric(o, "captures/s")
				b.ReportMetric(f, "fdatasync/s")
				b.ReportMetric(g, "badger-txns/s")
				b.ReportMetric(o/f, "x-fdatasync")
				b.ReportMetric(o/g, "x-badger")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// BenchmarkP2 measures the median of one capture alone against one write and
// fdatasync of the same bytes, taken in turn.
func BenchmarkP2(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "s"), options())
	f := sink(b)
	buf := make([]byte, 640)
	for b.Loop() {
		var ours, file []float64
		for i := range 1000 {
			d := visit(b, i)
			start := time.Now()
			if _, err := s.Append(b.Context(), d); err != nil {
				b.Fatal(err)
			}
			ours = append(ours, float64(time.Since(start).Microseconds()))
			start = time.Now()
			if err := f.Append(buf); err != nil {
				b.Fatal(err)
			}
			file = append(file, float64(time.Since(start).Microseconds()))
		}
		b.ReportMetric(median(ours), "us/capture")
		b.ReportMetric(median(file), "us/fdatasync")
		b.ReportMetric(median(ours)/median(file), "ratio")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkOpen measures P7's part of the store: an open with 100,000 entries,
// all of them unsent and therefore verified, after an orderly end and after
// kill -9. The files are in the page cache.
func BenchmarkOpen(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "s")
	o := options()
	o.NoSync = true // only to fill it
	s := open(b, dir, o)
	fill(b, s, 64, 100_000)
	killed := copyDir(b, dir)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for name, from := range map[string]string{"orderly": dir, "killed": killed} {
		b.Run(name, func(b *testing.B) {
			var took []float64
			for b.Loop() {
				d := copyDir(b, from)
				start := time.Now()
				s := open(b, d, options())
				took = append(took, float64(time.Since(start).Milliseconds()))
				if fs := s.Findings(); len(fs) != 0 {
					b.Fatal(fs)
				}
				if st := state(b, s, chain); st.Last != 100_000 {
					b.Fatalf("last seq %d", st.Last)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(median(took), "ms/open")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func fill(tb testing.TB, s *store.Store, writers, n int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n {
					return
				}
				if _, err := s.Append(context.Background(), visit(tb, i)); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func captures(b *testing.B, writers, n int) time.Duration {
	dir, err := os.MkdirTemp(b.TempDir(), "s")
	if err != nil {
		b.Fatal(err)
	}
	s := open(b, dir, options())
	start := time.Now()
	fill(b, s, writers, n)
	took := time.Since(start)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return took
}

func appendAndSync(b *testing.B, n int) time.Duration {
	f := sink(b)
	buf := make([]byte, 640)
	start := time.Now()
	for range n {
		if err := f.Append(buf); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}

func bareBadger(b *testing.B, writers, n int) time.Duration {
	took, err := yardstick.Badger(b.Context(), b.TempDir(), writers, slices.Repeat([][]byte{make([]byte, 640)}, n))
	if err != nil {
		b.Fatal(err)
	}
	return took
}

func sink(b *testing.B) *yardstick.File {
	f, err := yardstick.OpenFile(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return f
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
