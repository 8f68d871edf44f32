package find_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"otor/internal/find"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		text    string
		shown   string
		numbers []string
	}{
		{"巴特尔家的羊", "巴特尔家的羊", nil},
		{"电话13904830000，晚上打", "电话•••••••0000,晚上打", []string{"13904830000"}},
		{"电话１３９ ０４８３－００００", "电话•••••••0000", []string{"13904830000"}},
		{"id 11010519491231002x!", "id ••••••••••••••002X!", []string{"11010519491231002X"}},
		{"on 2025-09-18, and 2025/9/8 12 too", "on 2025-09-18, and 2025/9/8 12 too", nil},
		{"139-0483.0000 and 112", "•••••••0000 and 112", []string{"13904830000"}},
		{"D-101/1/record/17", "D-101/1/record/17", nil},
	} {
		if got := find.Hide(c.text); got != c.shown {
			t.Errorf("%q is shown as %q, want %q", c.text, got, c.shown)
		}
		if got := find.Numbers(c.text); !slices.Equal(got, c.numbers) {
			t.Errorf("%q has the numbers %q", c.text, got)
		}
		for _, p := range find.Pairs(c.text) {
			if strings.Contains(strings.Join(c.numbers, " "), p) {
				t.Errorf("%q is found by %q, a part of its number", c.text, p)
			}
		}
	}
	if got := find.Pairs("Баатар баатар ХО"); !slices.Equal(got, []string{"ба", "аа", "ат", "та", "ар", "хо"}) {
		t.Errorf("pairs: %q", got)
	}
}

func TestQuery(t *testing.T) {
	q := find.Read(" 巴特尔  Sheep x 13904830000 ")
	if !slices.Equal(q.Terms, []string{"巴特尔", "sheep"}) || !slices.Equal(q.Numbers, []string{"13904830000"}) || !slices.Equal(q.Short, []string{"x"}) {
		t.Fatalf("read as %+v", q)
	}
	for _, c := range []struct {
		texts, numbers []string
		want           bool
	}{
		{[]string{"巴特尔家", "SHEEP"}, []string{"13904830000"}, true},
		{[]string{"巴特 特尔", "sheep"}, []string{"13904830000"}, false}, // both pairs, and not the word
		{[]string{"巴特尔家", "sheep"}, []string{"13904830001"}, false},
	} {
		if q.Matches(c.texts, c.numbers) != c.want {
			t.Errorf("%q, %q: want %t", c.texts, c.numbers, c.want)
		}
	}
	if !find.Read("a 1 ").IsZero() {
		t.Error("single letters find something")
	}
}

// What is a part of a text is found by it; what is a part of a number never is.
func TestFoundByParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`1[3-9][0-9]{9}`).Draw(t, "number")
		text := rapid.StringMatching(`[\p{Han}a-z ]{0,12}`).Draw(t, "before") + " " + number + " " + rapid.StringMatching(`[\p{Han}a-z ]{0,12}`).Draw(t, "after")
		words, numbers := find.Pairs(text), find.Numbers(text)
		for n := 2; n < len(number); n++ {
			for _, part := range []string{number[:n], number[len(number)-n:]} {
				q := find.Read(part)
				if !q.IsZero() && q.Matches([]string{text}, numbers) {
					t.Fatalf("%q is found by %q", text, part)
				}
			}
		}
		if !find.Read(number).Matches([]string{text}, numbers) {
			t.Fatalf("%q is not found by its whole number", text)
		}
		runes := []rune(text)
		from := rapid.IntRange(0, len(runes)-1).Draw(t, "from")
		q := find.Read(string(runes[from : from+rapid.IntRange(1, min(6, len(runes)-from)).Draw(t, "n")]))
		if len(q.Numbers) > 0 || strings.ContainsAny(strings.Join(q.Terms, ""), "0123456789") {
			return
		}
		for _, p := range q.Pairs() {
			if !slices.Contains(words, p) {
				t.Fatalf("%q of %q is not among its words %q", p, text, words)
			}
		}
		if !q.Matches([]string{text}, numbers) {
			t.Fatalf("%q does not match a part of itself, %+v", text, q)
		}
		if strings.Contains(find.Hide(text), number[:7]) {
			t.Fatalf("%q is shown whole", text)
		}
	})
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "巴特尔 13904830000", "１２３４５６７x", "\xff\xfe1234567"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range find.Numbers(s) {
			if len(n) < 7 || strings.Contains(find.Hide(s), n) {
				t.Fatalf("%q: %q of it is shown", s, n)
			}
		}
		if len(find.Pairs(s)) > find.MostPairs {
			t.Fatal("too many words")
		}
		find.Read(s)
	})
}
