package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"otor/agent/capture"
	"otor/agent/store/yardstick"
	"otor/internal/gauge"
)

// slower is by how much fewer records the references of P1 write: they take
// about as long then.
const slower = 8

// many measures P1, with 16 and with 64 writers.
func (b *bench) many(ctx context.Context) ([]gauge.Figure, error) {
	all := b.fill(1, b.Records)
	var out []gauge.Figure
	for _, p := range []struct {
		writers int
		goal    float64
	}{{16, 4}, {64, 10}} {
		f, err := b.manyOf(ctx, p.writers, p.goal, all)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	if !b.profiles.Wanted() {
		return out, nil
	}
	r, err := b.openRoom()
	if err != nil {
		return nil, err
	}
	err = b.profiles.Run("P1", func() error {
		_, err := r.save(ctx, 64, all)
		return err
	})
	return out, errors.Join(err, r.close())
}

func (b *bench) manyOf(ctx context.Context, writers int, goal float64, all []capture.Request) (gauge.Figure, error) {
	var ours, file, bare []float64
	for range b.Runs { // in turn, so that a slow moment of the disk hits all three
		took, bytes, err := b.saveOnce(ctx, writers, all)
		if err != nil {
			return gauge.Figure{}, err
		}
		ours = append(ours, gauge.PerSecond(len(all), took))
		some := bytes[:len(bytes)/slower]
		if took, err = b.appendEach(ctx, some); err != nil {
			return gauge.Figure{}, err
		}
		file = append(file, gauge.PerSecond(len(some), took))
		if took, err = yardstick.Badger(ctx, b.Dir, writers, some); err != nil {
			return gauge.Figure{}, err
		}
		bare = append(bare, gauge.PerSecond(len(some), took))
	}
	f := gauge.New("P1", fmt.Sprintf("durable captures, %d writers", writers), "captures/s", ours)
	f.Against = []gauge.Against{
		gauge.AtLeast("one append and fdatasync a record of the same bytes", goal, ours, file),
		gauge.AtLeast(fmt.Sprintf("Badger, one transaction a record, %d writers", writers), 3, ours, bare),
	}
	return f, nil
}

// saveOnce captures all into a new store, and gives the bytes that it holds.
func (b *bench) saveOnce(ctx context.Context, writers int, all []capture.Request) (took time.Duration, bytes [][]byte, err error) {
	r, err := b.openRoom()
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if took, err = r.save(ctx, writers, all); err != nil {
		return 0, nil, err
	}
	if bytes, err = r.bytesOf(); err == nil && len(bytes) != len(all) {
		err = fmt.Errorf("%d of %d captures are in the store", len(bytes), len(all))
	}
	return took, bytes, err
}

// appendEach writes records to a bare file, each synced.
func (b *bench) appendEach(ctx context.Context, records [][]byte) (took time.Duration, err error) {
	f, err := yardstick.OpenFile(b.Dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	began := time.Now()
	for _, r := range records {
		if err := errors.Join(f.Append(r), ctx.Err()); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// one measures P2: captures alone, each followed by a write of the same bytes.
func (b *bench) one(ctx context.Context) (_ []gauge.Figure, err error) {
	r, err := b.openRoom()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	f, err := yardstick.OpenFile(b.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	micros := func(since time.Time) float64 { return float64(time.Since(since).Nanoseconds()) / 1e3 }
	var ours, file []float64
	err = b.profiles.Run("P2", func() error {
		for _, x := range b.fill(2, b.Records/slower) {
			began := time.Now()
			saved, err := r.capture.Capture(ctx, x)
			if err != nil {
				return err
			}
			ours = append(ours, micros(began))
			item, err := r.store.Get(saved.Dot)
			if err != nil {
				return err
			}
			same := item.Raw.Encode()
			began = time.Now()
			if err := f.Append(same); err != nil {
				return err
			}
			file = append(file, micros(began))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	fig := gauge.New("P2", "one durable capture, median", "µs", []float64{gauge.Median(ours)})
	fig.Against = []gauge.Against{gauge.AtMost("one write and fdatasync of the same bytes, median", 2,
		[]float64{gauge.Median(ours)}, []float64{gauge.Median(file)})}
	fig.Notes = []string{fmt.Sprintf("%d captures, each followed by a write", len(ours))}
	return []gauge.Figure{fig}, nil
}
