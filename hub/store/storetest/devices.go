package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/receipt"
)

var deviceChecks = []check{
	{name: "epoch is minted once", run: checkEpoch},
	{name: "invite and redeem", run: checkEnrol},
	{name: "codes end", run: checkCodes},
	{name: "redeem is once under concurrency", run: checkRedeemRace},
	{name: "re-enrolment gives the next incarnation", run: checkReenrol},
	{name: "contact is kept", run: checkContact},
}

func checkEpoch(t T, w *world) {
	want := receipt.EpochCertificate{Epoch: receipt.Epoch{1, 2}, Parent: receipt.Epoch{3}, Lineage: 4_000_000_000, Minted: noon}
	broken := errors.New("no randomness")
	if _, err := w.Epoch(t.Context(), func() (receipt.EpochCertificate, error) { return want, broken }); !errors.Is(err, broken) {
		t.Errorf("a mint that fails: %v", err)
	}
	var minted atomic.Int32
	mint := func() (receipt.EpochCertificate, error) { minted.Add(1); return want, nil }
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got, err := w.Epoch(t.Context(), mint); err != nil || got != want {
				t.Errorf("epoch: %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	w.again(t)
	got, err := w.Epoch(t.Context(), mint)
	ok(t, "epoch", err)
	same(t, "epoch after reopening", got, want)
	same(t, "times minted", minted.Load(), int32(1))
}

func checkEnrol(t T, w *world) {
	in := store.Invitation{Device: "D-101", Scopes: []string{"gacha-1", "route 7"}, CodeHash: codeOf("a"), AddedAt: noon, ExpiresAt: noon + 500}
	ok(t, "invite", w.Invite(t.Context(), in, false))
	want := store.Device{ID: "D-101", Scopes: in.Scopes, AddedAt: noon, CodeExpiresAt: noon + 500}
	d, err := w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	same(t, "invited device", d, want)

	k, err := w.Redeem(t.Context(), store.Enrolment{CodeHash: in.CodeHash, SignKey: keyOf("a"), NatsKey: "UA", At: noon + 9})
	ok(t, "redeem", err)
	wantKey := store.Key{Device: "D-101", Incarnation: 1, SignKey: keyOf("a"), NatsKey: "UA", EnrolledAt: noon + 9}
	same(t, "key", k, wantKey)
	w.again(t)
	k, err = w.Key(t.Context(), "D-101", 1)
	ok(t, "key", err)
	same(t, "key after reopening", k, wantKey)
	want.EnrolledAt, want.Incarnation, want.CodeExpiresAt = noon+9, 1, 0
	ds, err := w.Devices(t.Context())
	ok(t, "devices", err)
	same(t, "devices", ds, []store.Device{want})

	if err := w.Invite(t.Context(), store.Invitation{Device: "D-101", CodeHash: codeOf("b"), AddedAt: noon, ExpiresAt: noon + 1}, false); !errors.Is(err, store.ErrExists) {
		t.Errorf("inviting an enrolled device again: %v", err)
	}
	if _, err := w.Device(t.Context(), "D-999"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown device: %v", err)
	}
	for _, other := range []store.Key{{Device: "D-101", Incarnation: 2}, {Device: "D-999", Incarnation: 1}} {
		if _, err := w.Key(t.Context(), other.Device, other.Incarnation); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an unknown key: %v", err)
		}
	}
}

func checkCodes(t T, w *world) {
	invite := func(code string, expires int64) {
		t.Helper()
		in := store.Invitation{Device: "D-101", Scopes: []string{"s"}, CodeHash: codeOf(code), AddedAt: noon, ExpiresAt: expires}
		ok(t, "invite", w.Invite(t.Context(), in, false))
	}
	refused := func(code string, at int64, want error) {
		t.Helper()
		k, err := w.Redeem(t.Context(), store.Enrolment{CodeHash: codeOf(code), At: at})
		if !errors.Is(err, want) || k != (store.Key{}) {
			t.Errorf("redeem %s at %d: %+v, %v, want %v", code, at, k, err, want)
		}
	}
	invite("first", noon+100)
	refused("never made", noon, store.ErrNotFound)
	refused("first", noon+100, store.ErrCodeExpired)
	invite("second", noon+200)
	refused("first", noon, store.ErrCodeExpired)
	d, err := w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	same(t, "open code", d.CodeExpiresAt, int64(noon+200))
	_, err = w.Redeem(t.Context(), store.Enrolment{CodeHash: codeOf("second"), At: noon + 199})
	ok(t, "redeem just before the end", err)
	w.again(t)
	refused("second", noon, store.ErrCodeUsed)
	refused("second", noon+5000, store.ErrCodeUsed)
	again := store.Invitation{Device: "D-102", CodeHash: codeOf("second"), AddedAt: noon, ExpiresAt: noon + 1}
	if err := w.Invite(t.Context(), again, false); !errors.Is(err, store.ErrExists) {
		t.Errorf("a code given out twice: %v", err)
	}
	if _, err := w.Device(t.Context(), "D-102"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an invitation that failed left its device: %v", err)
	}
}

func checkRedeemRace(t T, w *world) {
	ok(t, "invite", w.Invite(t.Context(), store.Invitation{Device: "D-101", CodeHash: codeOf("a"), AddedAt: noon, ExpiresAt: noon + 500}, false))
	const rivals = 16
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() {
			_, err := w.Redeem(t.Context(), store.Enrolment{CodeHash: codeOf("a"), SignKey: keyOf(fmt.Sprint(i)), At: noon})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, store.ErrCodeUsed):
				t.Errorf("a rival got: %v", err)
			}
		})
	}
	wg.Wait()
	same(t, "rivals that got a key", won.Load(), int32(1))
	d, err := w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	same(t, "incarnation", d.Incarnation, dot.Incarnation(1))
}

func checkReenrol(t T, w *world) {
	first := enrolled(t, w, "D-101")
	in := store.Invitation{Device: "D-101", CodeHash: codeOf("new phone"), AddedAt: noon + 50, ExpiresAt: noon + 500}
	ok(t, "invite again", w.Invite(t.Context(), in, true))
	second, err := w.Redeem(t.Context(), store.Enrolment{CodeHash: in.CodeHash, SignKey: keyOf("new"), NatsKey: "UN", At: noon + 60})
	ok(t, "redeem", err)
	same(t, "incarnations", []dot.Incarnation{first.Incarnation, second.Incarnation}, []dot.Incarnation{1, 2})
	old, err := w.Key(t.Context(), "D-101", 1)
	ok(t, "the first life's key", err)
	same(t, "the first life's key", old, first)
	d, err := w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	same(t, "added at", d.AddedAt, int64(noon))
	same(t, "enrolled at", d.EnrolledAt, int64(noon+60))
	same(t, "scopes, none given the second time", d.Scopes, []string{"gacha-1"})
}

func checkContact(t T, w *world) {
	enrolled(t, w, "D-101")
	c := store.Contact{At: noon + 7, Skew: -47 * 60_000, Version: "1.2", Battery: -1, DiskFree: 5 << 40, Blobs: 3, Pack: "transhumance", PackVersion: 2}
	declared := []store.Lane{{Chain: chainA, Declared: 11, DeclaredHead: headOf("r11"), DeclaredAt: noon + 7}}
	ok(t, "note contact", w.NoteContact(t.Context(), "D-101", c, declared))
	w.again(t)
	d, err := w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	same(t, "contact", d.Contact, c)
	if err := w.NoteContact(t.Context(), "D-999", c, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("contact of a device that was never invited: %v", err)
	}
	foreign := []store.Lane{{Chain: chainB, Declared: 1}}
	if err := w.NoteContact(t.Context(), "D-101", store.Contact{At: 1}, foreign); err == nil {
		t.Errorf("a device declared another device's lane")
	}
	d, err = w.Device(t.Context(), "D-101")
	ok(t, "device", err)
	same(t, "contact after a refused one", d.Contact, c)
}
