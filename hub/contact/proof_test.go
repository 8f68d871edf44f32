package contact_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"otor/hub/contact"
	"otor/internal/dot"
	"otor/internal/feed"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// heard is what Epochs tells.
type heard struct {
	children []contact.Succession
	proofs   []receipt.Epoch
}

func (o *office) listen() *heard {
	h := new(heard)
	o.Epochs.OnChild = func(_ context.Context, s contact.Succession) { h.children = append(h.children, s) }
	o.Epochs.OnProof = func(_ context.Context, of receipt.Epoch) { h.proofs = append(h.proofs, of) }
	return h
}

// last is why the last child began, of so many.
func (h *heard) last(t *testing.T, children int) contact.Why {
	t.Helper()
	if len(h.children) != children {
		t.Fatalf("%d children began, want %d", len(h.children), children)
	}
	return h.children[children-1].Why
}

// bring adds a receipt of the hub's for a device.
func bring(t *testing.T, h wire.Hello, key identity.SigningKey, d dot.Device, e receipt.EpochCertificate, through dot.Seq) wire.Hello {
	t.Helper()
	b, err := receipt.Receipt{Epoch: e.Epoch, Chain: dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}, Through: through}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	h.Proofs = append(slices.Clone(h.Proofs), b)
	return h
}

// TestAClaimIsNoProof: that a child began says nothing until something is brought that
// the hub signed and does not know. Then it is told, also when that comes afterwards.
func TestAClaimIsNoProof(t *testing.T) {
	o := newOffice(t)
	o.holds(t, "D-101", 4)
	first, _ := o.Epochs.Certificate()
	o.start(t)
	h := o.listen()
	child := o.hears(t, "D-101", o.claim(first, 9))
	if h.last(t, 1) != contact.Claimed || h.children[0].Child != child || len(h.proofs) != 0 {
		t.Errorf("a claim: %+v", h)
	}
	stranger, err := identity.SigningKeyFromSeed([]byte(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}
	o.hears(t, "D-101", bring(t, o.claim(first, 9), stranger, "D-101", first, 9))
	o.hears(t, "D-101", bring(t, o.claim(first, 9), hubKey, "D-102", first, 9))
	o.hears(t, "D-101", bring(t, o.claim(first, 9), hubKey, "D-101", first, 4))
	if len(h.proofs) != 0 {
		t.Errorf("a receipt of nobody, of another device, and for what is there prove %v", h.proofs)
	}
	if got := o.hears(t, "D-101", bring(t, o.claim(first, 9), hubKey, "D-101", first, 9)); got != child || !slices.Equal(h.proofs, []receipt.Epoch{first.Epoch}) {
		t.Errorf("its receipt, afterwards: %+v, proofs of %v", got, h.proofs)
	}
	err = o.Epochs.Rewound(t.Context(), "D-101", feed.Cursor{Epoch: first.Epoch, Scope: "team:T1", N: 7}, noon.UnixMilli())
	if err != nil || len(h.proofs) != 2 || h.last(t, 1) != contact.Claimed {
		t.Errorf("a cursor of the epoch before: %v, %+v", err, h)
	}
}

// TestAReceiptIsAProof: it is believed of an epoch that this run began, too.
func TestAReceiptIsAProof(t *testing.T) {
	o := newOffice(t)
	h := o.listen()
	first, _ := o.Epochs.Certificate()
	child := o.hears(t, "D-101", bring(t, o.claim(first, 9), hubKey, "D-101", first, 9))
	if h.last(t, 1) != contact.Proved || child.Parent != first.Epoch || o.losses(t, false) != "D-101/1/record 1-9" || o.findings(t) != "" {
		t.Errorf("%+v, %s, %s", h, o.losses(t, false), o.findings(t))
	}
	err := o.Epochs.Rewound(t.Context(), "D-101", feed.Cursor{Epoch: child.Epoch, Scope: "team:T1", N: 7}, noon.UnixMilli())
	if err != nil || h.last(t, 2) != contact.Proved {
		t.Errorf("a cursor of the epoch: %v, %+v", err, h)
	}
	now, _ := o.Epochs.Certificate()
	ahead := receipt.EpochCertificate{Epoch: receipt.Epoch{9}, Parent: first.Epoch, Lineage: 7}
	if o.hears(t, "D-101", show(t, o.claim(ahead, 0), ahead)); h.last(t, 3) != contact.Proved || h.children[2].Shown != ahead {
		t.Errorf("a certificate: %+v", h)
	}
	if err := o.Epochs.PutBack(t.Context(), 40, 1); err != nil || h.last(t, 4) != contact.PutBack || h.children[3].Child.Lineage != 41 {
		t.Errorf("the hub itself: %v, %+v", err, h)
	}
	// The clock stands still, or falls back; along the line time passes all the same.
	for _, s := range h.children {
		if s.Child.Minted <= first.Minted {
			t.Errorf("%+v did not begin after %+v", s.Child, first)
		}
		first = s.Child
	}
	if now.Lineage != 2 {
		t.Errorf("%+v", now)
	}
}

// falling is a database that falls back under a running hub.
type falling struct {
	contact.EpochStore
}

// TestADatabaseThatFallsBack under a running hub lacks the epoch that the hub holds: the
// first claim begins one above both, and is not asked about for ever.
func TestADatabaseThatFallsBack(t *testing.T) {
	before, after := newOffice(t), newOffice(t)
	first, _ := before.Epochs.Certificate()
	other, _ := after.Epochs.Certificate()
	db := &falling{before.Store}
	epochs, err := contact.OpenEpochs(t.Context(), db, hubKey, noon.UnixMilli(), false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	before.Epochs = epochs
	h := before.listen()
	child := before.hears(t, "D-101", before.claim(first, 9))
	db.EpochStore = after.Store
	next := before.hears(t, "D-101", bring(t, before.claim(child, 9), hubKey, "D-101", child, 9))
	if h.last(t, 2) != contact.Proved || next.Parent != other.Epoch || next.Lineage != child.Lineage+1 || h.children[1].Shown != child {
		t.Errorf("%+v", h.children)
	}
}
