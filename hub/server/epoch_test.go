package server_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"otor/hub/broker"
	"otor/hub/ledger"
	"otor/hub/server"
	"otor/internal/dot"
	"otor/internal/identity"
	"otor/internal/receipt"
	"otor/internal/wire"
)

// fleet is a hub's folder and journal, and devices that say what they like.
type fleet struct {
	*server.Server
	dir, story string
	first      receipt.EpochCertificate
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{dir: filepath.Join(t.TempDir(), "hub"), story: filepath.Join(t.TempDir(), "journal")}
	f.Server = mustOpen(t, f.dir, f.story)
	admit(t, f.Server, "D-1", false)
	admit(t, f.Server, "D-2", false)
	f.first = f.epoch(t)
	return f
}

// again stops the hub, does something to its folders, and starts it.
func (f *fleet) again(t *testing.T, meanwhile func()) {
	t.Helper()
	check(t, f.Close())
	if meanwhile != nil {
		meanwhile()
	}
	f.Server = mustOpen(t, f.dir, "")
}

// copied keeps a folder as it is, to be put back.
func copied(t *testing.T, dir string) (putBack func()) {
	t.Helper()
	kept := filepath.Join(t.TempDir(), "kept")
	check(t, os.CopyFS(kept, os.DirFS(dir)))
	return func() {
		t.Helper()
		check(t, os.RemoveAll(dir))
		check(t, os.CopyFS(dir, os.DirFS(kept)))
	}
}

// epoch is what the hub answers from.
func (f *fleet) epoch(t *testing.T) receipt.EpochCertificate {
	t.Helper()
	return f.says(t, "D-1", wire.Hello{})
}

// says says hello and gives the epoch of the answer.
func (f *fleet) says(t *testing.T, d dot.Device, h wire.Hello) receipt.EpochCertificate {
	t.Helper()
	b, err := wire.Marshal(h)
	check(t, err)
	w, err := wire.Unmarshal[wire.Welcome](f.Hello(t.Context(), d, b))
	check(t, err)
	c, err := receipt.OpenEpoch(w.Epoch, f.key(t).Public())
	check(t, err)
	return c
}

func (f *fleet) key(t *testing.T) identity.SigningKey {
	t.Helper()
	k, err := broker.HubKey(f.dir, time.Now())
	check(t, err)
	return k
}

// claim is a hello of a device that says it has more receipts of an epoch than there is.
func claim(e receipt.EpochCertificate) wire.Hello {
	return wire.Hello{Epoch: e.Epoch[:], Lanes: []wire.LaneHead{{Incarnation: 1, Lane: dot.Record, Last: 5, Received: 5}}}
}

// proof is a claim with the receipt.
func (f *fleet) proof(t *testing.T, d dot.Device, e receipt.EpochCertificate) wire.Hello {
	t.Helper()
	b, err := receipt.Receipt{Epoch: e.Epoch, Chain: dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}, Through: 5}.Sign(f.key(t))
	check(t, err)
	h := claim(e)
	h.Proofs = [][]byte{b}
	return h
}

// shown is a hello of a device that goes by an epoch, with its certificate.
func (f *fleet) shown(t *testing.T, e receipt.EpochCertificate) wire.Hello {
	t.Helper()
	b, err := e.Sign(f.key(t))
	check(t, err)
	return wire.Hello{Epoch: e.Epoch[:], Shown: b}
}

var (
	trusted = map[dot.Device]string{"D-1": "enrolled", "D-2": "enrolled"}
	doubted = map[dot.Device]string{"D-1": "enrolled, in doubt", "D-2": "enrolled, in doubt"}
)

// One device that says that it has receipts which the hub never gave costs a lineage, after
// each start of the hub, and shuts nobody out. A receipt that the hub did give does, from
// any of the epochs that ended that way, once.
func TestALieDoubtsNobody(t *testing.T) {
	f := newFleet(t)
	now := f.first
	for i := range 3 {
		f.again(t, nil)
		if now = f.says(t, "D-1", claim(now)); int(now.Lineage) != i+1 {
			t.Fatalf("after lie %d: %+v", i+1, now)
		}
		sameStates(t, "after a lie", f.Server, trusted)
	}
	f.again(t, nil)
	sameStates(t, "after another start", f.Server, trusted)
	if got := f.says(t, "D-2", f.proof(t, "D-2", f.first)); got != now {
		t.Errorf("the proof begins %+v", got)
	}
	sameStates(t, "after a proof", f.Server, doubted)
	_, err := f.Office().Confirm(t.Context(), nil)
	check(t, err)
	f.says(t, "D-2", f.proof(t, "D-2", f.first))
	f.again(t, nil)
	f.says(t, "D-1", f.proof(t, "D-1", f.first))
	sameStates(t, "confirmed, and the same is proved once more", f.Server, trusted)
	f.says(t, "D-1", claim(now))
	f.says(t, "D-1", f.proof(t, "D-1", f.first))
	sameStates(t, "a lie, and the same is proved once more", f.Server, trusted)
	f.says(t, "D-2", f.proof(t, "D-2", now))
	sameStates(t, "another proof", f.Server, doubted)
	check(t, f.Close())
}

// A database that was put back with the hub's knowledge begins an epoch by itself. That
// explains what was signed before; nothing later: when the hub is put back to an older
// copy of all it has, devices find it out and whom it revoked since is not trusted.
func TestAnExplanationIsUsedOnce(t *testing.T) {
	for name, explain := range map[string]func(t *testing.T, f *fleet){
		"moved to another folder": func(t *testing.T, f *fleet) {
			made, err := f.Office().Backup(t.Context(), t.TempDir(), 2)
			check(t, err)
			check(t, f.Close())
			f.dir = filepath.Join(t.TempDir(), "moved")
			_, err = server.Restore(t.Context(), made.Path, server.Config{Dir: f.dir, Journal: f.story, Log: slog.New(slog.DiscardHandler)}, false)
			check(t, err)
			f.Server = mustOpen(t, f.dir, "")
		},
		"put back beside its journal": func(t *testing.T, f *fleet) {
			var putBack func()
			f.again(t, func() { putBack = copied(t, f.dir) })
			_, err := f.Office().Regrant(t.Context(), "D-1", []string{"team:T2"}, nil)
			check(t, err)
			_, err = f.Office().Regrant(t.Context(), "D-2", []string{"team:T2"}, nil)
			check(t, err)
			f.again(t, putBack)
		},
		"a crash before the epoch began": func(t *testing.T, f *fleet) {
			check(t, f.Record(t.Context(), ledger.Act{By: "hub", Kind: "replayed", Body: json.RawMessage(`{"facts": 2}`)}))
			f.again(t, nil)
		},
		"a crash before that was recorded": func(t *testing.T, f *fleet) {
			check(t, f.Record(t.Context(), ledger.Act{By: "hub", Kind: "replayed", Body: json.RawMessage(`{"facts": 2}`)}))
			child, _ := f.first.Child(receipt.Epoch{9}, 5, receipt.EpochCertificate{})
			_, _, err := f.Store().Succeed(t.Context(), f.first.Epoch, child, nil)
			check(t, err)
			f.again(t, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			explain(t, f)
			now := f.epoch(t)
			if now.Lineage != 1 || now.Parent != f.first.Epoch {
				t.Fatalf("the hub goes by %+v", now)
			}
			for _, d := range []dot.Device{"D-1", "D-2"} {
				f.says(t, d, f.proof(t, d, f.first))
			}
			f.again(t, nil)
			if got := f.epoch(t); got != now {
				t.Errorf("another start: %+v", got)
			}
			sameStates(t, "what was signed before", f.Server, trusted)

			var database, journal func()
			f.again(t, func() { database, journal = copied(t, f.dir), copied(t, f.story) })
			check(t, f.Office().Revoke(t.Context(), "D-2"))
			f.again(t, func() { database(); journal() })
			sameStates(t, "put back, and not found out", f.Server, trusted)
			f.says(t, "D-1", f.proof(t, "D-1", now))
			sameStates(t, "put back", f.Server, doubted)
			check(t, f.Close())
		})
	}
}

// Without its journal a restored hub doubts all. Certificates of the life that is lost
// say nothing more, once operators have confirmed who stays; one from after that does.
func TestCertificatesOfALostLife(t *testing.T) {
	f := newFleet(t)
	made, err := f.Office().Backup(t.Context(), t.TempDir(), 2)
	check(t, err)
	lost, _ := f.first.Child(receipt.Epoch{7}, f.first.Minted+1, receipt.EpochCertificate{Lineage: 6})
	check(t, f.Close())
	f.dir = filepath.Join(t.TempDir(), "restored")
	_, err = server.Restore(t.Context(), made.Path, server.Config{Dir: f.dir, Log: slog.New(slog.DiscardHandler)}, false)
	check(t, err)
	f.Server = mustOpen(t, f.dir, "")
	sameStates(t, "without the journal", f.Server, doubted)
	_, err = f.Office().Confirm(t.Context(), nil)
	check(t, err)
	now := f.says(t, "D-1", f.shown(t, lost))
	if now.Lineage != lost.Lineage+1 {
		t.Errorf("shown %+v, the hub goes by %+v", lost, now)
	}
	sameStates(t, "shown one of the lost life", f.Server, trusted)
	f.again(t, nil)
	later, _ := now.Child(receipt.Epoch{8}, now.Minted+1, receipt.EpochCertificate{})
	f.says(t, "D-1", f.shown(t, later))
	sameStates(t, "shown one that is not known", f.Server, doubted)
	check(t, f.Close())
}

// Why an epoch began that a crash kept out of the ledger nobody knows.
func TestAnEpochOutOfTheLedger(t *testing.T) {
	f := newFleet(t)
	child, _ := f.first.Child(receipt.Epoch{9}, f.first.Minted+1, receipt.EpochCertificate{})
	_, _, err := f.Store().Succeed(t.Context(), f.first.Epoch, child, nil)
	check(t, err)
	f.again(t, nil)
	sameStates(t, "after the crash", f.Server, doubted)
	_, err = f.Office().Confirm(t.Context(), nil)
	check(t, err)
	f.again(t, nil)
	sameStates(t, "confirmed", f.Server, trusted)
	check(t, f.Close())
}
