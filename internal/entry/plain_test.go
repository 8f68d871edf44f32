package entry_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"otor/internal/corpus"
	"otor/internal/entry"
	"otor/internal/golden"
	"otor/internal/pack"
)

// same holds a reading against the general one: the same value, or both refuse.
func same[T any](t interface{ Fatalf(string, ...any) }, b []byte, read, general func([]byte) (T, error)) {
	got, err := read(b)
	want, wantErr := general(b)
	equal := reflect.DeepEqual(got, want) || fmt.Sprintf("%#v", got) == fmt.Sprintf("%#v", want) // the second: NaN
	if (err == nil) != (wantErr == nil) || err == nil && !equal {
		t.Fatalf("%x\nread as %#v, %v\nwant    %#v, %v", b, got, err, want, wantErr)
	}
}

func FuzzPlainReading(f *testing.F) {
	for _, v := range committed(f).Entries {
		f.Add(golden.Unhex(f, v.Public))
		f.Add(golden.Unhex(f, v.Private))
	}
	for _, h := range []string{
		"a2015000000000000000000000000000000000" + "02a0", "a102a0", "a0", "a1015000000000000000000000000000000000",
		"a2015000000000000000000000000000000000" + "02a4616180616281f661638162" + "c3a96164f97bff",
		"a2015000000000000000000000000000000000" + "02a26161f90001" + "6162fb3ff8000000000000",
	} {
		f.Add(golden.Unhex(f, h))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > entry.MaxRaw {
			t.Skip("larger than an entry")
		}
		same(t, b, entry.DecodePublic, entry.DecodePublicGenerally)
		same(t, b, entry.DecodePrivate, entry.DecodePrivateGenerally)
	})
}

func TestPlainReadingIsTheGeneralOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pub := publics().Draw(t, "public")
		b, err := pub.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if want := entry.EncodePublicGenerally(pub); !bytes.Equal(b, want) {
			t.Fatalf("encoded %x, want %x", b, want)
		}
		same(t, b, entry.DecodePublic, entry.DecodePublicGenerally)
		q := entry.Private{Fields: rapid.MapOfN(rapid.String(), values(3), 0, 6).Draw(t, "fields")}
		c, err := q.Encode()
		if err != nil {
			t.Fatal(err)
		}
		same(t, c, entry.DecodePrivate, entry.DecodePrivateGenerally)
		for range rapid.IntRange(0, 3).Draw(t, "changes") { // most are malformed, some are not
			for _, part := range [][]byte{b, c} {
				part[rapid.IntRange(0, len(part)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
			same(t, b, entry.DecodePublic, entry.DecodePublicGenerally)
			same(t, c, entry.DecodePrivate, entry.DecodePrivateGenerally)
		}
		r := entry.NewRaw(b, c)
		for _, r := range []entry.Raw{r, r.Erase(), entry.NewRaw(b, []byte{})} {
			if got, want := r.Encode(), entry.EncodeGenerally(r); !bytes.Equal(got, want) {
				t.Fatalf("encoded %x, want %x", got, want)
			}
		}
	})
}

// Without this the plain reading could be of no use and nobody would notice.
func TestPlainReadingTakesRealParts(t *testing.T) {
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	source := corpus.New(1, p.Forms, 0, time.Date(2025, 9, 18, 6, 0, 0, 0, time.UTC))
	for range 1000 {
		d, err := source.Next().Draft([16]byte{1})
		if err != nil {
			t.Fatal(err)
		}
		d.Public.Dot.Device, d.Public.Dot.Incarnation, d.Public.Dot.Lane, d.Public.Dot.Seq = "D-101", 1, d.Lane, 2
		d.Public.HLC.Millis = d.Public.Wall
		b, err := d.Public.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if want := entry.EncodePublicGenerally(d.Public); !bytes.Equal(b, want) {
			t.Fatalf("encoded %x, want %x", b, want)
		}
		if !entry.PlainPublic(b) || !entry.PlainPrivate(d.Private) {
			t.Fatalf("%+v was left to the general decoder", d.Public)
		}
	}
}
