package reconcile_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/identity"
	"otor/internal/lane"
)

var zone = time.FixedZone("", 8*3600)

func day(h int) time.Time { return time.Date(2025, 9, 18, h, 0, 0, 0, zone) }

func entries(es ...store.Entry) iter.Seq2[store.ListedEntry, error] {
	return func(yield func(store.ListedEntry, error) bool) {
		for i, e := range es {
			if !yield(store.ListedEntry{Number: int64(i + 1), Entry: e}, nil) {
				return
			}
		}
	}
}

func at(d dot.Device, seq dot.Seq, form string, v store.Verdict, when time.Time) store.Entry {
	return store.Entry{
		Dot: dot.Dot{Chain: dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}, Seq: seq}, Form: form,
		CorrectedTime: when.UnixMilli(), Judgement: store.Judgement{Verdict: v, Code: "code", Words: "说明 =1+1"},
	}
}

func books() reconcile.Books {
	whole := store.Lane{
		Chain: dot.Chain{Device: "D-101", Incarnation: 1, Lane: dot.Record}, Received: lane.NewSet(lane.Run(1, 4)), Declared: 4,
		Head: entry.Hash{1}, DeclaredHead: entry.Hash{1}, Archived: 2,
	}
	torn := store.Lane{
		Chain: dot.Chain{Device: "D-201", Incarnation: 1, Lane: dot.Record}, Received: lane.NewSet(lane.Run(1, 2), lane.Run(4, 4)), Declared: 5,
		Head: entry.Hash{2},
	}
	return reconcile.Books{
		Lanes: []store.Lane{torn, whole}, Held: map[dot.Chain]int64{torn.Chain: 1},
		Entries: entries(
			at("D-101", 1, "visit", store.Applied, day(7)),
			at("D-101", 2, "visit", store.Merged, day(8)),
			at("D-101", 3, "pension_check", store.Quarantined, day(9)),
			at("D-101", 4, "visit", store.Applied, day(23)),
			at("D-201", 1, "visit", store.Duplicate, day(10)),
			at("D-201", 2, "visit", store.Refused, day(11)),
			at("D-201", 4, "visit", store.Held, day(12)),
		),
		Decisions: func(yield func(reconcile.Decision, error) bool) {
			_ = yield(reconcile.Decision{Number: 7, At: day(18), By: "sarna", Kind: "decide", Subject: "household/H-NB-07"}, nil) &&
				yield(reconcile.Decision{Number: 8, At: day(22), By: "sarna", Kind: "decide", Subject: "late"}, nil)
		},
		Findings: []store.Finding{{Device: "D-101", Words: "47 minutes fast"}, {Device: "D-101", Words: "over", ClosedAt: 1}, {Device: "D-201", Words: "other"}},
	}
}

func terms(subject reconcile.Subject, name string) reconcile.Terms {
	return reconcile.Terms{Subject: subject, Name: name, From: day(0), Until: day(20)}
}

func TestAStatementAccountsForADevice(t *testing.T) {
	s, err := reconcile.Draw(terms(reconcile.OfDevice, "D-101"), books())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Chains) != 1 || s.Chains[0].Heads != "equal" || s.Chains[0].Received != 4 || s.Chains[0].Waiting != 0 {
		t.Errorf("chains: %+v", s.Chains)
	}
	if c := s.Counts; c.Received != 3 || c.Applied != 2 || c.SetAside != 1 || c.Held != 0 {
		t.Errorf("counts of the period: %+v", c)
	}
	if len(s.SetAside) != 1 || s.SetAside[0].Dot != "D-101/1/record/3" || len(s.Decisions) != 1 || len(s.Findings) != 1 {
		t.Errorf("lists: %+v", s)
	}
	if ok, wrong := s.Complete(); !ok || !s.Adds() {
		t.Errorf("complete %v %v, adds %v", ok, wrong, s.Adds())
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	s, err := reconcile.Draw(terms(reconcile.OfAll, ""), books())
	if err != nil {
		t.Fatal(err)
	}
	ok, wrong := s.Complete()
	if ok || len(wrong) != 1 || !strings.Contains(wrong[0].String(), "D-201/1/record: 2 entries are missing") {
		t.Errorf("complete %v: %q", ok, wrong)
	}
	if c := s.Counts; c.Received != 6 || c.Held != 1 || c.SetAside != 2 || c.Applied != 3 || !s.Adds() {
		t.Errorf("%+v", c)
	}
	if s.Chains[1].Heads != "open" {
		t.Errorf("heads of a chain that is not all there: %s", s.Chains[1].Heads)
	}
}

// A statement is passed on: what people wrote stands in it without numbers of persons,
// in every form that it has.
func TestAStatementHidesNumbers(t *testing.T) {
	const number = "999922196001010018"
	b := books()
	wrong := at("D-101", 5, "visit", store.Refused, day(7))
	wrong.Judgement.Words = "not his: it is " + number
	b.Entries = entries(wrong)
	b.Findings = []store.Finding{{Device: "D-101", Words: "sends " + number}}
	st, err := reconcile.Draw(terms(reconcile.OfForm, "visit"), b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := reconcile.Sign(st, key(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	var x, c bytes.Buffer
	if err := errors.Join(reconcile.WriteXLSX(&x, st, s, "en", nil), reconcile.WriteCSV(&c, st, s, "en", nil)); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"signed": string(s.Statement), "xlsx": partsOf(t, x.Bytes()), "csv": c.String()} {
		if !strings.Contains(text, "0018") || strings.Contains(text, number) {
			t.Errorf("%s: %s", what, text)
		}
	}
	if len(st.SetAside) != 1 || len(st.Findings) != 1 || !strings.HasSuffix(st.SetAside[0].Words, "0018") || !strings.HasSuffix(st.Findings[0], "0018") {
		t.Errorf("%+v", st)
	}
}

func TestTermsThatSayNothing(t *testing.T) {
	for name, bad := range map[string]reconcile.Terms{
		"no subject":   {From: day(0), Until: day(1)},
		"no device":    {Subject: reconcile.OfDevice, From: day(0), Until: day(1)},
		"no period":    {Subject: reconcile.OfAll},
		"an empty one": {Subject: reconcile.OfAll, From: day(1), Until: day(1)},
		"a lone team":  {Subject: reconcile.OfTeam, Name: "T1", From: day(0), Until: day(1)},
	} {
		if _, err := reconcile.Draw(bad, books()); !errors.Is(err, reconcile.ErrTerms) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func key(t testing.TB, b byte) identity.SigningKey {
	t.Helper()
	k, err := identity.SigningKeyFromSeed(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signed(t testing.TB) (reconcile.Statement, reconcile.Signed) {
	t.Helper()
	st, err := reconcile.Draw(terms(reconcile.OfAll, ""), books())
	if err != nil {
		t.Fatal(err)
	}
	st.MadeAt, st.MadeBy, st.Epoch = day(19), "sarna <&>", "abc"
	s, err := reconcile.Sign(st, key(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	st.Hub = key(t, 1).Public().String()
	return st, s
}

func TestSignedAndVerified(t *testing.T) {
	st, s := signed(t)
	var j, x bytes.Buffer
	if err := s.WriteJSON(&j); err != nil {
		t.Fatal(err)
	}
	if err := reconcile.WriteXLSX(&x, st, s, "zh", nil); err != nil {
		t.Fatal(err)
	}
	hub := key(t, 1).Public()
	for name, file := range map[string][]byte{"json": j.Bytes(), "xlsx": x.Bytes()} {
		got, back, err := reconcile.Verify(file, &hub)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if back.Digest() != s.Digest() || got.Counts.Received != st.Counts.Received || got.MadeBy != st.MadeBy {
			t.Errorf("%s: another statement came back", name)
		}
	}
	other := key(t, 2).Public()
	if _, _, err := reconcile.Verify(j.Bytes(), &other); !errors.Is(err, reconcile.ErrOtherHub) {
		t.Errorf("another hub's key: %v", err)
	}
	changed := bytes.Replace(j.Bytes(), []byte(`"received": 6`), []byte(`"received": 7`), 1)
	if bytes.Equal(changed, j.Bytes()) {
		t.Fatal("nothing was changed")
	}
	if _, _, err := reconcile.Verify(changed, nil); !errors.Is(err, reconcile.ErrChanged) {
		t.Errorf("a changed number: %v", err)
	}
	for name, bad := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "no workbook": []byte("PK\x03\x04"), "{}": []byte("{}")} {
		if _, _, err := reconcile.Verify(bad, nil); !errors.Is(err, reconcile.ErrNotSigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrintedInEveryLanguage(t *testing.T) {
	st, s := signed(t)
	for _, lang := range []string{"zh", "mn", "en"} {
		for kind, write := range map[string]func(*bytes.Buffer) error{
			"pdf":  func(b *bytes.Buffer) error { return reconcile.WritePDF(b, st, s, lang, nil) },
			"xlsx": func(b *bytes.Buffer) error { return reconcile.WriteXLSX(b, st, s, lang, nil) },
			"csv":  func(b *bytes.Buffer) error { return reconcile.WriteCSV(b, st, s, lang, nil) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil || b.Len() < 200 {
				t.Errorf("%s %s: %d bytes, %v", lang, kind, b.Len(), err)
			}
			if kind == "csv" && lang != "en" && strings.Contains(b.String(), "entries are") {
				t.Errorf("%s: why it is not complete stands in English: %s", lang, b.String())
			}
			if kind == "csv" && strings.Contains(b.String(), "[statement.") {
				t.Errorf("%s: words are missing: %s", lang, b.String())
			}
		}
	}
}

// What the table of decisions says is in the reader's words, in every kind of fact that a
// statement lists; and held records are called as the console calls them.
func TestDecisionsInWords(t *testing.T) {
	st, s := signed(t)
	for _, kind := range []string{"decision", "aside", "sealed", "revoked", "confirmed", "twin_confirmed", "roster", "roster_ruling"} {
		st.Decisions = append(st.Decisions, reconcile.Decision{Kind: kind, Subject: "x", By: "rita", At: day(9)})
	}
	for lang, held := range map[string]string{"zh": "暂存", "mn": "саатсан", "en": "held"} {
		var x bytes.Buffer
		if err := reconcile.WriteXLSX(&x, st, s, lang, nil); err != nil {
			t.Fatal(err)
		}
		text := partsOf(t, x.Bytes())
		for _, code := range []string{">decision<", ">aside<", ">sealed<", ">twin_confirmed<", ">roster_ruling<"} {
			if strings.Contains(text, code) {
				t.Errorf("%s: %s stands in the table", lang, code)
			}
		}
		if !strings.Contains(text, held) {
			t.Errorf("%s: nothing is called %s", lang, held)
		}
		if lang != "en" && strings.Contains(text, "entries are") {
			t.Errorf("%s: why it is not complete stands in English", lang)
		}
	}
}

// partsOf is the text of all parts of a workbook.
func partsOf(t *testing.T, file []byte) (text string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	return text
}

// Whatever there is, the counts add up, and no byte of a signed statement can be
// changed without notice, except in how it is laid out.
func TestCountsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		verdicts := []store.Verdict{store.Held, store.Applied, store.Merged, store.Conflict, store.Duplicate, store.Review, store.Flagged, store.Quarantined, store.Refused}
		var es []store.Entry
		for i := range rapid.IntRange(0, 30).Draw(t, "entries") {
			es = append(es, at(rapid.SampledFrom([]dot.Device{"D-101", "D-201"}).Draw(t, "device"), dot.Seq(i+1),
				rapid.SampledFrom([]string{"visit", "sos", "herd_count"}).Draw(t, "form"), rapid.SampledFrom(verdicts).Draw(t, "verdict"), day(rapid.IntRange(0, 23).Draw(t, "hour"))))
		}
		b := books()
		b.Entries = entries(es...)
		s, err := reconcile.Draw(terms(rapid.SampledFrom([]reconcile.Subject{reconcile.OfAll, reconcile.OfDevice}).Draw(t, "subject"), "D-101"), b)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Adds() {
			t.Fatalf("%+v", s.Counts)
		}
	})
}

func FuzzVerify(f *testing.F) {
	_, s := signed(f)
	b, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(fmt.Sprintf(`{"statement":{},"key":%q,"signature":""}`, s.Key)))
	f.Fuzz(func(t *testing.T, file []byte) {
		hub := key(t, 1).Public()
		st, back, err := reconcile.Verify(file, &hub)
		if err == nil && back.Digest() != s.Digest() {
			t.Fatalf("a forged statement passes: %+v", st)
		}
	})
}
