package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"otor/agent/web"
)

// put runs PutLines and returns the lines of both writers.
func put(t *testing.T, p *phone, in io.Reader, defaults web.PutRequest) (out, refusals []string, err error) {
	t.Helper()
	var a, b bytes.Buffer
	saved, refused, err := web.PutLines(t.Context(), p, in, &a, &b, defaults)
	out, refusals = lines(a.String()), lines(b.String())
	if len(out) != saved || len(refusals) != refused {
		t.Errorf("counts %d and %d, but %d and %d lines", saved, refused, len(out), len(refusals))
	}
	return out, refusals, err
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

func TestPutLines(t *testing.T) {
	p := newPhone()
	long := `{"note":"` + strings.Repeat("x", 10<<20) + `"}`
	in := strings.Join([]string{
		"\ufeff" + `{"household":"H-NB-07"}`,
		``,
		`{"household":`,
		long,
		`{"form":"unknown_form","fields":{}}`,
		`{"form":"livestock_count","entity":"H-NB-08","user":"U09","at":"2025-09-18T09:12:00+08:00","fields":{"count":3}}` + "\r",
		`[1,2]`,
		`null`,
		`{"form":"x","at":"yesterday","fields":{}}`,
		`{"form":7,"fields":{}}`,
		"{\"a\":\"\xff\"}",
		`{"fields":"a plain answer of that name"}`,
		`{"last":"without an end"}`,
	}, "\n")
	out, refusals, err := put(t, p, strings.NewReader(in), web.PutRequest{Form: "visit", User: "U01"})
	if err != nil {
		t.Fatal(err)
	}
	wantOut := []string{
		`{"line":1,"dot":"D-101/1/record/`, `{"line":6,`, `{"line":12,`, `{"line":13,`,
	}
	wantRefused := []string{
		`{"line":3,"error":{"code":"bad_json"`, `{"line":4,"error":{"code":"too_large"`, `{"line":5,"error":{"code":"form_unknown"`,
		`{"line":7,"error":{"code":"bad_json"`, `{"line":8,"error":{"code":"bad_json"`, `{"line":9,"error":{"code":"bad_time"`,
		`{"line":10,"error":{"code":"bad_json"`, `{"line":11,"error":{"code":"bad_json"`,
	}
	begins(t, "saved", out, wantOut)
	begins(t, "refused", refusals, wantRefused)
	for _, r := range p.puts {
		switch {
		case r.Form == "livestock_count":
			if r.Entity != "H-NB-08" || r.User != "U09" || string(r.Fields) != `{"count":3}` || !r.At.Equal(time.Date(2025, 9, 18, 1, 12, 0, 0, time.UTC)) {
				t.Errorf("the envelope was read as %+v", r)
			}
		case r.Form != "visit" || r.User != "U01":
			t.Errorf("the defaults were not used: %+v", r)
		}
	}
	for _, l := range append(out, refusals...) {
		if !json.Valid([]byte(l)) {
			t.Errorf("not JSON: %s", l)
		}
	}
}

func begins(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d lines, want %d:\n%s", what, len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%s: %s\nwant it to begin %s", what, got[i], want[i])
		}
	}
}

func TestPutLinesWithoutForm(t *testing.T) {
	p := newPhone()
	out, refusals, err := put(t, p, strings.NewReader("{\"a\":1}\n{\"form\":\"route_start\",\"entity\":\"R1\"}\n"), web.PutRequest{})
	if err != nil {
		t.Fatal(err)
	}
	begins(t, "saved", out, []string{`{"line":2,`})
	begins(t, "refused", refusals, []string{`{"line":1,"error":{"code":"form_missing"`})
	if string(p.puts[0].Fields) != "{}" {
		t.Errorf("fields %s", p.puts[0].Fields)
	}
}

// Many lines wait for the store at once, no more than 64, and are answered in
// the order in which they came.
func TestPutLinesInFlight(t *testing.T) {
	p := newPhone()
	p.hold = make(chan struct{})
	var in strings.Builder
	const n = 500
	for i := range n {
		fmt.Fprintf(&in, "{\"i\":%d}\n", i)
	}
	go func() {
		for { // let go once as many wait as may
			p.mu.Lock()
			full := p.inFlight >= 60
			p.mu.Unlock()
			if full || t.Context().Err() != nil {
				close(p.hold)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	out, _, err := put(t, p, strings.NewReader(in.String()), web.PutRequest{Form: "visit"})
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range out {
		if !strings.HasPrefix(l, fmt.Sprintf(`{"line":%d,`, i+1)) {
			t.Fatalf("answer %d: %s", i+1, l)
		}
	}
	if len(out) != n || p.mostInFlight > 65 {
		t.Errorf("%d answers, %d at once", len(out), p.mostInFlight)
	}
}

func TestPutLinesFailures(t *testing.T) {
	t.Run("store", func(t *testing.T) {
		p := newPhone()
		out, _, err := put(t, p, strings.NewReader("{\"a\":1}\n{\"form\":\"broken_store\",\"fields\":{}}\n"), web.PutRequest{Form: "visit"})
		if err == nil || !strings.Contains(err.Error(), "put line 2") || len(out) != 1 {
			t.Errorf("%v, %d saved", err, len(out))
		}
	})
	t.Run("input breaks off", func(t *testing.T) {
		p := newPhone()
		in := io.MultiReader(strings.NewReader("{\"a\":1}\n{\"b\":2}"), iotest.ErrReader(io.ErrUnexpectedEOF))
		out, _, err := put(t, p, in, web.PutRequest{Form: "visit"})
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(out) != 1 || len(p.puts) != 1 {
			t.Errorf("%v, %d answered, %d saved: half a line is not a line", err, len(out), len(p.puts))
		}
	})
	t.Run("output closed", func(t *testing.T) {
		var broken brokenWriter
		_, _, err := web.PutLines(t.Context(), newPhone(), strings.NewReader(strings.Repeat("{}\n", 5000)), broken, io.Discard, web.PutRequest{Form: "visit"})
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%v", err)
		}
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestSplitAnswers(t *testing.T) {
	var out, refusals bytes.Buffer
	in := `{"line":1,"dot":"D-101/1/record/1"}` + "\n" + `{"line":2,"error":{"code":"bad_json","what":"x"}}` + "\n" + `{"error":{"code":"internal","what":"disk gone"}}` + "\n"
	saved, refused, err := web.SplitAnswers(strings.NewReader(in), &out, &refusals)
	if refusal, ok := errors.AsType[*web.Refusal](err); !ok || refusal.Code != "internal" || saved != 1 || refused != 1 {
		t.Errorf("%d saved, %d refused, %v", saved, refused, err)
	}
	if out.String()+refusals.String()+`{"error":{"code":"internal","what":"disk gone"}}`+"\n" != in {
		t.Errorf("copied %q and %q", out.String(), refusals.String())
	}
	if _, _, err := web.SplitAnswers(strings.NewReader("<html>"), &out, &refusals); err == nil {
		t.Error("an HTML page was taken for an answer")
	}
}

func FuzzPutLines(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n\n[\n{\"form\":\"x\",\"fields\":{}}"))
	f.Add([]byte("\xef\xbb\xbf{}\r\n{\"at\":\"\"}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p := newPhone()
		out, refusals, err := put(t, p, bytes.NewReader(in), web.PutRequest{Form: "visit"})
		if err != nil && !strings.Contains(err.Error(), "disk gone") {
			t.Fatal(err)
		}
		if err == nil && len(out) != len(p.puts) {
			t.Fatalf("%d answered, %d saved", len(out), len(p.puts))
		}
		if len(out)+len(refusals) > bytes.Count(in, []byte("\n"))+1 {
			t.Fatalf("more answers than lines")
		}
	})
}
