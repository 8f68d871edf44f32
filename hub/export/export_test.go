package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"otor/hub/export"
	"otor/internal/entry"
	"otor/internal/sheet"
)

var (
	zone = time.FixedZone("", 8*3600)
	noon = time.Date(2025, 9, 18, 12, 0, 0, 0, zone)
)

// nasty are texts that an office program would make something else of.
var nasty = []string{
	"99992219500307103X", "999922194812011227", "=1+2", "=HYPERLINK(\"http://x\",\"y\")", "+86 154", "-5", "@SUM(A1)", "\tx", "\r\nx", "＝1+1",
	"007", "1/2", "2025-09-18", "1E5", "TRUE", "'x", "''", "a,b;c", "一\"二\"", "ᠮᠣᠩᠭᠣᠯ", "line\nline", " blanks ", "0.1", "1,5", "12:30", "",
}

func forms(id string, _ []uint32) export.Form {
	return export.Form{ID: id, Title: "表单 " + id, Questions: []export.Question{{Name: "said", Label: "说"}, {Name: "count", Label: "数", Number: true}, {Name: "g.said", Label: "说"}}}
}

// spool keeps rows of two forms, one with a place.
func spool(t testing.TB, texts []string) *export.Spool {
	t.Helper()
	s, err := export.NewSpool(t.TempDir(), forms)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, text := range texts {
		r := export.Row{
			Entry: fmt.Sprintf("D-101/1/record/%d", i+1), Form: []string{"visit", "count"}[i%2], Version: 1, Entity: "household/H-1", Actor: text, DeviceAt: noon, At: noon.Add(time.Duration(i) * time.Minute),
			ReceivedAt: noon, Verdict: "applied",
			Answers: []export.Answer{{Name: "said", Value: text, Text: text}, {Name: "count", Value: int64(i - 3), Text: fmt.Sprint(i - 3)}, {Name: "g.said", Value: text, Text: text}},
		}
		if i%3 == 0 {
			r.Position = &entry.Position{Lon: 104_123_456, Lat: -39_654_321, Accuracy: 125, Source: entry.GNSS}
		}
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// A record that is set aside may hold numbers that JSON has no word for: the others are
// exported all the same.
func TestNumbersThatAreNone(t *testing.T) {
	s := spool(t, []string{"a", "b", "c"})
	odd := map[string]any{"depth": math.Inf(1), "said": "d"}
	r := export.Row{
		Entry: "D-102/1/record/1", Form: "visit", Version: 1, DeviceAt: noon, At: noon, ReceivedAt: noon, Verdict: "quarantined", Code: "out_of_range",
		Position: &entry.Position{Source: entry.GNSS}, Answers: []export.Answer{{Name: "count", Value: math.NaN(), Text: "NaN"}, {Name: "said", Value: []any{odd}}},
	}
	if err := s.Add(r); err != nil {
		t.Fatal(err)
	}
	if f, ok := odd["depth"].(float64); !ok || !math.IsInf(f, 1) || r.Answers[0].Text != "NaN" {
		t.Error("what the caller has was changed")
	}
	for format := range export.Formats {
		if b := written(t, format, "en", s); len(b) == 0 {
			t.Errorf("%s: empty", format)
		}
	}
	if b := written(t, "json", "en", s); !bytes.Contains(b, []byte(`"NaN"`)) || !bytes.Contains(b, []byte(`"+Inf"`)) {
		t.Errorf("json: %s", b)
	}
}

func head(s *export.Spool) export.Head {
	return export.Head{
		Filter: export.Filter{Subject: "device", Name: "D-101", From: noon.Add(-12 * time.Hour), Until: noon.Add(12 * time.Hour)}, Hub: "KEY", At: noon, By: "=rita", Rows: s.Count(),
	}
}

func written(t testing.TB, format, lang string, s *export.Spool) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := export.Write(&b, format, lang, head(s), s); err != nil {
		t.Fatalf("%s in %s: %v", format, lang, err)
	}
	return b.Bytes()
}

// Every format says the same, in each language, and nothing in it is a formula.
func TestWrite(t *testing.T) {
	s := spool(t, nasty)
	for _, lang := range []string{"zh", "mn", "en"} {
		for format := range export.Formats {
			if b := written(t, format, lang, s); bytes.Contains(b, []byte("[export.")) {
				t.Errorf("%s in %s: words are missing", format, lang)
			}
		}
	}
	for lang, want := range map[string]string{"zh": "已生效", "mn": "Хүлээн авсан", "en": "applied"} {
		b := written(t, "csv", lang, s)
		if !bytes.Contains(b, []byte(","+want+",applied,")) {
			t.Errorf("%s: the verdict does not stand in words beside its code: %.600s", lang, b)
		}
	}
	var j struct {
		Export  export.Head
		Entries []struct {
			export.Row
			Position *struct{ Lon, Lat float64 }
		}
	}
	if err := json.Unmarshal(written(t, "json", "en", s), &j); err != nil {
		t.Fatal(err)
	}
	if len(j.Entries) != len(nasty) || j.Export.Filter.Name != "D-101" || j.Entries[0].Position != nil || j.Entries[1].Position == nil || j.Entries[1].Position.Lon != 104.123456 {
		t.Fatalf("%d entries, %+v", len(j.Entries), j.Export)
	}
	seen := map[string]bool{}
	for _, e := range j.Entries {
		seen[fmt.Sprint(e.Answers[0].Value)] = true
	}
	for _, text := range nasty {
		if !seen[text] {
			t.Errorf("%q is not in the JSON", text)
		}
	}
	var geo struct {
		Type     string
		Features []struct {
			Type, ID string
			Geometry struct {
				Type        string
				Coordinates []float64
			}
		}
	}
	if err := json.Unmarshal(written(t, "geojson", "en", s), &geo); err != nil {
		t.Fatal(err)
	}
	if geo.Type != "FeatureCollection" || len(geo.Features) != (len(nasty)+2)/3 {
		t.Fatalf("%d features", len(geo.Features))
	}
	for _, f := range geo.Features {
		if f.Type != "Feature" || f.Geometry.Type != "Point" || len(f.Geometry.Coordinates) != 2 || f.Geometry.Coordinates[0] != 104.123456 || f.Geometry.Coordinates[1] != -39.654321 {
			t.Errorf("%+v", f)
		}
	}
	for _, cells := range csvOf(t, written(t, "csv", "en", s)) {
		for _, c := range cells {
			if c != "" && strings.ContainsAny(c[:1], "=+@\t\r\n") || strings.HasPrefix(c, "-") && strings.Trim(c, "-.0123456789") != "" {
				t.Errorf("%q would run", c)
			}
		}
	}
}

func csvOf(t testing.TB, b []byte) [][]string {
	t.Helper()
	if !bytes.HasPrefix(b, []byte("\ufeff")) {
		t.Error("the CSV has no byte order mark")
	}
	out, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What is written is what was there, whatever people typed.
func TestCSVRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		// CSV has one kind of line end: what else a carriage return may mean is lost.
		text := rapid.OneOf(rapid.Map(rapid.String(), func(s string) string { return strings.ReplaceAll(s, "\r", "") }), rapid.SampledFrom(nasty)).Draw(r, "text")
		s, err := export.NewSpool(t.TempDir(), forms)
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if err := s.Add(export.Row{Entry: "D-1/1/record/1", Form: "visit", DeviceAt: noon, At: noon, ReceivedAt: noon, Answers: []export.Answer{{Name: "said", Value: text, Text: text}}}); err != nil {
			r.Fatal(err)
		}
		var b bytes.Buffer
		if err := export.Write(&b, "csv", "en", export.Head{Rows: 1}, s); err != nil {
			r.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b.Bytes(), []byte("\ufeff")))).ReadAll()
		if err != nil {
			r.Fatal(err)
		}
		want := strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
		if got := sheet.Unescape(rows[1][12]); got != want {
			r.Fatalf("%q came back as %q", want, got)
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	s := spool(t, nasty[:2])
	h := head(s)
	if err := export.Write(io.Discard, "docx", "en", h, s); !errors.Is(err, export.ErrFormat) {
		t.Errorf("docx: %v", err)
	}
	h.Rows = export.MaxPaper + 1
	if err := export.Write(io.Discard, "pdf", "en", h, s); !errors.Is(err, export.ErrLong) {
		t.Errorf("a long paper: %v", err)
	}
}

// A file that cannot be read back is an error and no short export.
func TestASpoolThatIsGone(t *testing.T) {
	s := spool(t, nasty)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"xlsx", "csv", "pdf", "json", "geojson"} {
		if err := export.Write(io.Discard, format, "en", head(s), s); err == nil {
			t.Errorf("%s: no error", format)
		}
	}
}
