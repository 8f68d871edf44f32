package contact_test

import (
	"strings"
	"sync"
	"testing"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/lane"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// holds makes the hub hold the seqs of D-101's records.
func (o *office) holds(t *testing.T, d dot.Device, through dot.Seq) {
	t.Helper()
	err := o.Ingest(t.Context(), func(tx store.Tx) error {
		l, err := tx.Lane(dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record})
		if err != nil {
			return err
		}
		l.Received = lane.NewSet(lane.Run(1, through))
		return tx.SaveLane(l)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// claim is a hello in epoch e with receipts up to seq.
func (o *office) claim(e receipt.EpochCertificate, seq dot.Seq) wire.Hello {
	l := head(dot.Record, seq)
	l.Received = seq
	h := o.hello(l)
	h.Epoch = e.Epoch[:]
	return h
}

// show adds the certificate.
func show(t *testing.T, h wire.Hello, e receipt.EpochCertificate) wire.Hello {
	t.Helper()
	b, err := e.Sign(hubKey)
	if err != nil {
		t.Fatal(err)
	}
	h.Shown = b
	return h
}

// hears says hello and returns the epoch of the answer.
func (o *office) hears(t *testing.T, d dot.Device, h wire.Hello) receipt.EpochCertificate {
	t.Helper()
	w := o.say(t, d, h)
	c, err := receipt.OpenEpoch(w.Epoch, hubKey.Public())
	if err != nil {
		t.Errorf("%+v: %v", w, err)
	}
	return c
}

func (o *office) losses(t *testing.T, all bool) string {
	t.Helper()
	ls, err := o.Losses(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range ls {
		out = append(out, l.Chain.String()+" "+l.Run.String())
	}
	return strings.Join(out, ", ")
}

func (o *office) findings(t *testing.T) string {
	t.Helper()
	fs, err := o.Findings(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range fs {
		out = append(out, string(f.Device)+" "+f.Code)
	}
	return strings.Join(out, ", ")
}

func TestAProofBeginsAChild(t *testing.T) {
	o := newOffice(t)
	o.holds(t, "D-101", 11)
	first, _ := o.Epochs.Certificate()
	o.start(t)
	if got := o.hears(t, "D-101", o.claim(first, 11)); got != first || o.losses(t, true) != "" {
		t.Fatalf("receipts for what is there: %+v, %s", got, o.losses(t, true))
	}
	child := o.hears(t, "D-101", o.claim(first, 57))
	if child.Parent != first.Epoch || child.Lineage != 1 || o.losses(t, false) != "D-101/1/record 12-57" {
		t.Fatalf("receipts for more: %+v, %s", child, o.losses(t, false))
	}
	// Others who go by the parent: nothing is begun, what they miss is noted.
	o.enrol(t, "D-102")
	if got := o.hears(t, "D-102", o.claim(first, 5)); got != child || o.losses(t, false) != "D-101/1/record 12-57, D-102/1/record 1-5" {
		t.Errorf("a second device: %+v, %s", got, o.losses(t, false))
	}
	if got := o.hears(t, "D-101", o.claim(child, 11)); got != child {
		t.Errorf("the first one again: %+v", got)
	}
	// It comes back.
	o.holds(t, "D-101", 40)
	if got := o.losses(t, false); !strings.Contains(got, "D-101") {
		t.Errorf("closed too early: %s", got)
	}
	o.holds(t, "D-101", 57)
	o.holds(t, "D-102", 5)
	if open, all := o.losses(t, false), o.losses(t, true); open != "" || all == "" {
		t.Errorf("after all came back: open %q, all %q", open, all)
	}
	o.start(t)
	if got, _ := o.Epochs.Certificate(); got != child {
		t.Errorf("after a start: %+v", got)
	}
}

// TestALieIsBelievedOnce: between two starts of the hub, and costs nothing else.
func TestALieIsBelievedOnce(t *testing.T) {
	o := newOffice(t)
	o.holds(t, "D-101", 3)
	first, _ := o.Epochs.Certificate()
	if got := o.hears(t, "D-101", o.claim(first, dot.MaxSeq)); got != first || o.findings(t) != "D-101 false_claim" {
		t.Errorf("in an epoch that this run began: %+v, %s", got, o.findings(t))
	}
	if o.hears(t, "D-101", o.claim(first, 3)); o.findings(t) != "" {
		t.Errorf("after it says so no more: %s", o.findings(t))
	}
	o.start(t)
	second := o.hears(t, "D-101", o.claim(first, 99))
	if second.Lineage != 1 {
		t.Errorf("once: %+v", second)
	}
	for range 5 {
		if got := o.hears(t, "D-101", o.claim(second, 99)); got != second {
			t.Fatalf("again: %+v", got)
		}
	}
	if o.losses(t, false) != "D-101/1/record 4-99" || o.findings(t) != "D-101 false_claim" {
		t.Errorf("noted: %s; %s", o.losses(t, false), o.findings(t))
	}
}

func TestAShownEpoch(t *testing.T) {
	o := newOffice(t)
	first, _ := o.Epochs.Certificate()
	cert := func(id byte, lineage uint32) receipt.EpochCertificate {
		return receipt.EpochCertificate{Epoch: receipt.Epoch{id}, Parent: first.Epoch, Lineage: lineage}
	}
	unshown := cert(9, 7)
	if got := o.hears(t, "D-101", o.claim(unshown, 0)); got != first {
		t.Errorf("a name alone: %+v", got)
	}
	if got := o.hears(t, "D-101", show(t, o.claim(unshown, 4), unshown)); got.Lineage != 8 || got.Parent != first.Epoch || o.losses(t, false) != "D-101/1/record 1-4" {
		t.Errorf("from ahead: %+v, %s", got, o.losses(t, false))
	}
	now, _ := o.Epochs.Certificate()
	for name, h := range map[string]wire.Hello{
		"from before":               show(t, o.claim(cert(5, 2), 0), cert(5, 2)),
		"the hub's own":             show(t, o.claim(now, 0), now),
		"another than the one said": show(t, o.claim(cert(5, 2), 0), cert(6, 90)),
		"signed by another": func() wire.Hello {
			h := o.claim(cert(6, 90), 0)
			h.Shown = append(show(t, h, cert(6, 90)).Shown, 0)
			return h
		}(),
	} {
		if got := o.hears(t, "D-101", h); got != now {
			t.Errorf("%s: %+v", name, got)
		}
	}
	sister := cert(7, now.Lineage)
	if got := o.hears(t, "D-101", show(t, o.claim(sister, 0), sister)); got.Lineage != now.Lineage+1 {
		t.Errorf("a sister: %+v", got)
	}
	end := cert(8, 1<<32-1)
	b, err := wire.Marshal(show(t, o.claim(end, 0), end))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Hello(t.Context(), "D-101", b); err == nil {
		t.Error("there is nothing above the last lineage")
	}
}

// TestManyProofsOneChild: hellos at once, to two workers on one database.
func TestManyProofsOneChild(t *testing.T) {
	o := newOffice(t)
	first, _ := o.Epochs.Certificate()
	o.start(t)
	other := &office{Store: o.Store, now: o.now}
	other.start(t)
	var wg sync.WaitGroup
	for i := range 24 {
		desk := []*office{o, other}[i%2]
		wg.Go(func() { desk.hears(t, "D-101", desk.claim(first, dot.Seq(10+i))) })
	}
	wg.Wait()
	a := o.hears(t, "D-101", o.claim(first, 1))
	b := other.hears(t, "D-101", show(t, other.claim(a, 0), a))
	if a != b || a.Lineage != 1 {
		t.Errorf("%+v and %+v", a, b)
	}
	if got := o.losses(t, false); got != "D-101/1/record 1-33" {
		t.Errorf("noted: %s", got)
	}
}

func TestAFrozenHubKeepsItsEpoch(t *testing.T) {
	o := newOffice(t)
	first, _ := o.Epochs.Certificate()
	o.frozen = true
	o.start(t)
	if got := o.hears(t, "D-101", o.claim(first, 57)); got != first {
		t.Errorf("%+v", got)
	}
}
