package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"testing"

	"otor/internal/cli"
	"otor/internal/e2e"
)

// TestPutAnswersAtOnce: a line is answered while the next is not even written.
func TestPutAnswersAtOnce(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	for _, running := range []bool{false, true} {
		if running {
			a.Start(t)
		}
		p := a.Talk(t, "--form", "water_check")
		for n := 1; n <= 3; n++ {
			if _, err := io.WriteString(p.In, water); err != nil {
				t.Fatal(err)
			}
			var s e2e.Saved
			if err := json.NewDecoder(bufio.NewReader(p.Out)).Decode(&s); err != nil || s.Line != n {
				t.Fatalf("running %v: line %d was answered by %+v, %v", running, n, s, err)
			}
		}
		if _, err := io.WriteString(p.In, "oops\n"); err != nil {
			t.Fatal(err)
		}
		if exit := p.Close(t); exit != cli.Refused {
			t.Errorf("running %v: exit %d", running, exit)
		}
	}
}

// TestAgentDiesUnderPut: what was answered is saved, and the rest is said to be not.
func TestAgentDiesUnderPut(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	a.Start(t)
	p := a.Talk(t, "--form", "water_check")
	if _, err := io.WriteString(p.In, water); err != nil {
		t.Fatal(err)
	}
	var s e2e.Saved
	if err := json.NewDecoder(p.Out).Decode(&s); err != nil {
		t.Fatal(err)
	}
	a.Kill()
	_, _ = io.WriteString(p.In, water)
	if exit := p.Close(t); exit != cli.Unreachable {
		t.Errorf("put ended with exit %d when its agent had died", exit)
	}
	guard(t, a, []e2e.Saved{s})
}

// TestPutInterrupted: a put that is killed keeps what it answered.
func TestPutInterrupted(t *testing.T) {
	h := e2e.StartHub(t)
	a := h.Enrol(t, "D-101")
	p := a.Talk(t, "--form", "water_check")
	if _, err := io.WriteString(p.In, water); err != nil {
		t.Fatal(err)
	}
	var s e2e.Saved
	if err := json.NewDecoder(p.Out).Decode(&s); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	guard(t, a, []e2e.Saved{s})
}
