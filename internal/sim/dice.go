package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"otor/internal/identity"
)

// dice are one actor's source of chance. They belong to one goroutine at a time.
type dice struct {
	*rand.Rand
	src *rand.ChaCha8
}

// newDice makes the dice of a named actor.
func newDice(seed uint64, name string) dice {
	src := rand.NewChaCha8(seedOf(seed, name))
	return dice{rand.New(src), src}
}

func seedOf(seed uint64, name string) [32]byte {
	return sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, seed), name...))
}

// keyOf makes the signing key of a named actor.
func keyOf(seed uint64, name string) (identity.SigningKey, error) {
	b := seedOf(seed, "key of "+name)
	return identity.SigningKeyFromSeed(b[:])
}

// Read fills b, for salts.
func (d dice) Read(b []byte) (int, error) { return d.src.Read(b) }

// is reports true with probability p.
func (d dice) is(p float64) bool { return d.Float64() < p }

// within draws a duration to the nanosecond, so that events do not coincide.
func (d dice) within(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64(most-least)+1))
}

// upTo draws a duration of at most so much.
func (d dice) upTo(most time.Duration) time.Duration { return d.within(0, most) }

// about draws a duration of which most are short and some long, at most 8 times mean.
func (d dice) about(mean time.Duration) time.Duration {
	return time.Duration(min(d.ExpFloat64(), 8)*float64(mean)) + time.Duration(d.Int64N(1000)) + 1
}

// choice is one of the things that may happen next.
type choice struct {
	weight int
	do     func() error
}

// choose draws one by weight.
func (d dice) choose(cs []choice) choice {
	sum := 0
	for _, c := range cs {
		sum += c.weight
	}
	n := d.IntN(sum)
	for _, c := range cs {
		if n -= c.weight; n < 0 {
			return c
		}
	}
	return cs[len(cs)-1]
}
