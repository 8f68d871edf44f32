package identity_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/identity"
)

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

func codes() *rapid.Generator[identity.Code] {
	return rapid.Custom(func(t *rapid.T) (c identity.Code) {
		copy(c.Secret[:], rapid.SliceOfN(rapid.Byte(), len(c.Secret), len(c.Secret)).Draw(t, "secret"))
		copy(c.Pin[:], rapid.SliceOfN(rapid.Byte(), len(c.Pin), len(c.Pin)).Draw(t, "pin"))
		return c
	})
}

// People type in lower case, leave out hyphens or add spaces, and take O for 0 and I or l for 1.
func TestCodeAsTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := codes().Draw(t, "code")
		var typed strings.Builder
		for _, r := range c.String() {
			switch {
			case r == '-':
				typed.WriteString(rapid.SampledFrom([]string{"-", "", " ", " - "}).Draw(t, "hyphen"))
			case r == '0':
				typed.WriteString(rapid.SampledFrom([]string{"0", "O", "o"}).Draw(t, "zero"))
			case r == '1':
				typed.WriteString(rapid.SampledFrom([]string{"1", "I", "i", "L", "l"}).Draw(t, "one"))
			case rapid.Bool().Draw(t, "lower"):
				typed.WriteString(strings.ToLower(string(r)))
			default:
				typed.WriteRune(r)
			}
		}
		got, err := identity.ParseCode("  " + typed.String() + "\n")
		if err != nil || got != c {
			t.Fatalf("%q reads as %v, %v; want %v", typed.String(), got, err, c)
		}
		hub := rapid.String().Draw(t, "hub")
		got, at, err := identity.ParseQRText(c.QRText(hub))
		if err != nil || got != c || at != hub {
			t.Fatalf("QR text reads as %v, %q, %v", got, at, err)
		}
	})
}

// Two check bytes let one mistake in 65536 pass: counted over every single
// wrong character and every swap of neighbours in many codes.
func TestMistypedCodesAreFound(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	tried, passed := 0, 0
	try := func(s string) {
		tried++
		if _, err := identity.ParseCode(s); err == nil {
			passed++
		} else if !errors.Is(err, identity.ErrMistyped) {
			t.Fatalf("%v does not wrap ErrMistyped", err)
		}
	}
	for range 100 {
		var c identity.Code
		for i := range c.Secret {
			c.Secret[i] = byte(r.Uint32())
		}
		for i := range c.Pin {
			c.Pin[i] = byte(r.Uint32())
		}
		s := []byte(strings.ReplaceAll(c.String(), "-", ""))
		for i, right := range s {
			for k := range len(alphabet) {
				if alphabet[k] != right {
					s[i] = alphabet[k]
					try(string(s))
				}
			}
			s[i] = right
			if i > 0 && s[i-1] != right {
				s[i-1], s[i] = s[i], s[i-1]
				try(string(s))
				s[i-1], s[i] = s[i], s[i-1]
			}
		}
		try(string(s[1:]))
		try(string(s) + "0")
	}
	t.Logf("%d mistakes tried, %d passed", tried, passed)
	if tried < 90_000 {
		t.Fatalf("only %d mistakes tried", tried)
	}
	if passed > 8 { // about 1.5 are to be expected
		t.Errorf("%d of %d mistakes passed", passed, tried)
	}
}

func TestPin(t *testing.T) {
	p := identity.PinOf([]byte("key"))
	if !p.Matches([]byte("key")) || p.Matches([]byte("kez")) || p.Matches(nil) {
		t.Error("a pin matches its own key and no other")
	}
}

func FuzzParseCode(f *testing.F) {
	f.Add(sampleCode().String())
	f.Add("K7QM-")
	f.Add("ſıO0IlL-1")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := identity.ParseCode(s)
		if err != nil {
			if !errors.Is(err, identity.ErrMistyped) {
				t.Fatalf("%v does not wrap ErrMistyped", err)
			}
			return
		}
		if again, err := identity.ParseCode(c.String()); err != nil || again != c {
			t.Fatalf("%v reads as %v, %v", c, again, err)
		}
	})
}

func FuzzParseQRText(f *testing.F) {
	f.Add(sampleCode().QRText("https://192.0.2.7:8480"))
	f.Add("otor:enrol?")
	f.Fuzz(func(t *testing.T, s string) {
		c, hub, err := identity.ParseQRText(s)
		if err != nil {
			if !errors.Is(err, identity.ErrMistyped) {
				t.Fatalf("%v does not wrap ErrMistyped", err)
			}
			return
		}
		if c2, hub2, err := identity.ParseQRText(c.QRText(hub)); err != nil || c2 != c || hub2 != hub {
			t.Fatalf("%v at %q reads as %v at %q, %v", c, hub, c2, hub2, err)
		}
	})
}
