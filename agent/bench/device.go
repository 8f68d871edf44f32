package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nkeys"

	"otor/agent/enrol"
	"otor/agent/store"
	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/feed"
	"otor/internal/hlc"
	"otor/internal/merge"
	"otor/internal/receipt"
)

// makeDevice makes a folder as an enrolled device has it after n captures, of
// which the hub has confirmed all but unsent. Its hub is nowhere.
func (b *bench) makeDevice(ctx context.Context, name string, n, unsent int) (dir string, err error) {
	dir = filepath.Join(b.Dir, name)
	id, err := newIdentity()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(id)
	if err != nil {
		return "", err
	}
	if err := errors.Join(durable.MkdirAll(dir, 0o700), durable.WriteFile(filepath.Join(dir, enrol.FileName), text, 0o600)); err != nil {
		return "", err
	}
	s, err := store.Open(dir, store.Options{
		Key: id.StoreKey(), Device: id.Device, Incarnation: id.Incarnation, Origin: entry.Origin{Reason: entry.Installed},
	})
	if err != nil {
		return "", err
	}
	r := b.roomOf(dir, s)
	defer func() { err = errors.Join(err, s.Close()) }()
	const piece = 10_000 // filled forms take memory
	for saved := 0; saved < n; {
		more := min(piece, n-saved)
		if saved < n-unsent {
			more = min(more, n-unsent-saved)
		}
		if _, err := r.save(ctx, 64, b.fill(uint64(7+saved), more)); err != nil { //nolint:gosec // a small number
			return "", err
		}
		if saved += more; saved == n-unsent {
			if err := errors.Join(confirm(ctx, s), load(ctx, s)); err != nil {
				return "", err
			}
		}
	}
	return dir, nil
}

// confirm settles receipts for all that a store holds.
func confirm(ctx context.Context, s *store.Store) error {
	var rs []receipt.Receipt
	for _, c := range s.Chains() {
		if c.Last > 0 {
			rs = append(rs, receipt.Receipt{Epoch: receipt.Epoch{1}, Chain: c.Chain, Through: c.Last, Head: c.Head})
		}
	}
	settled, err := s.Settle(ctx, rs)
	for _, x := range settled {
		if x.Refused != nil {
			err = errors.Join(err, errors.New(x.Refused.What))
		}
	}
	if err != nil {
		return fmt.Errorf("confirm what was saved: %w", err)
	}
	return nil
}

// theirs are the hub's states of what a household has, as an office's lists have them:
// with the household itself and what the device writes about six entities each.
func theirs(household string, i int) (out []*merge.State, err error) {
	add := func(typ, id string, fields ...any) {
		s := merge.New(entry.Ref{Type: typ, ID: id})
		c := merge.Change{Dot: dot.Chain{Device: dot.Hub, Incarnation: 1, Lane: dot.Record}.At(dot.Seq(i + 1)), HLC: hlc.Time{Millis: 1_780_000_000_000}} //nolint:gosec // from 0
		for n := 0; n < len(fields); n += 2 {
			raw, e := cbor.Marshal(fields[n+1])
			err = errors.Join(err, e)
			c.Writes = append(c.Writes, merge.Write{Register: fields[n].(string), Raw: raw})
		}
		s.Apply(c)
		out = append(out, s)
	}
	born := fmt.Sprintf("%d-%02d-%02d", 1938+i%60, 1+i%12, 1+i%28)
	for n := 1; n <= 2; n++ {
		add("person", fmt.Sprintf("P-%05d-%d", i, n), "household", household, "relation", "head", "name_zh", fmt.Sprintf("娜仁%d", i%997), "name_latin", "Naran Bat",
			"sex", "f", "birth", born, "pref_lang", "mn", "resident_id", fmt.Sprintf("999922%s%04d", strings.ReplaceAll(born, "-", ""), i%10_000))
	}
	add("pension", fmt.Sprintf("PN-%05d", i), "person", fmt.Sprintf("P-%05d-1", i), "scheme", "resident", "checks/2025-03-01", true, "method", "visit")
	add("plot", fmt.Sprintf("PL-%05d", i), "household", household, "cert_no", fmt.Sprintf("NB-2015-%06d", i), "regime", "balance", "area_mu", float64(i%60_000)/10,
		"mu_per_sheep_unit", 20.5, "year", 2025)
	return out, err
}

// load gives a device, as its feeds do in the contact that confirms its entries, the
// hub's states of all entities that it wrote about, and of what else their households have.
func load(ctx context.Context, s *store.Store) error {
	const scope, rows = "gacha-1", 500
	if err := s.GrantScopes(ctx, []string{scope}); err != nil {
		return err
	}
	var page []feed.Row
	var n uint64
	apply := func() error {
		next := store.HeldCursor{Signed: fmt.Appendf(nil, "cursor %d", n), N: n, Mark: feed.Mark{byte(n), byte(n >> 8)}} //nolint:gosec // a made-up mark
		err := s.ApplyPage(ctx, store.Page{Scope: scope, From: s.Feed(scope).Position(), Next: next, Rows: page})
		page = nil
		return err
	}
	var all []*merge.State
	for shown, err := range s.Entities(ctx, "") {
		if err != nil {
			return err
		}
		all = append(all, shown.State)
	}
	for i, s := range slices.Clone(all) {
		if s.Ref.Type != "household" {
			continue
		}
		more, err := theirs(s.Ref.ID, i)
		if err != nil {
			return err
		}
		all = append(all, more...)
	}
	for _, state := range all { // states, and not rows: their bytes are of this moment
		n++
		page = append(page, feed.Row{N: n, Kind: feed.Entity, Key: feed.EntityKey(state.Ref), Rev: n, Body: state.Encode()})
		if len(page) == rows {
			if err := apply(); err != nil {
				return fmt.Errorf("load what the hub has: %w", err)
			}
		}
	}
	return apply()
}

func newIdentity() (*enrol.Identity, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	seed, err := user.Seed()
	if err != nil {
		return nil, err
	}
	ca, err := newCA()
	if err != nil {
		return nil, err
	}
	id := &enrol.Identity{
		Version: 1, Protection: enrol.Unprotected, Device: "D-101", Incarnation: 1, Hub: "https://127.0.0.1:1",
		NatsURLs: []string{"tls://127.0.0.1:1"}, CA: ca, Epoch: []byte{}, JWT: "none",
		Secrets: enrol.Secrets{NatsSeed: string(seed), SignSeed: make([]byte, 32), StoreKey: make([]byte, 32)},
	}
	rand.Read(id.Secrets.SignSeed) // never fails: the runtime stops the process first
	rand.Read(id.Secrets.StoreKey)
	return id, nil
}

// newCA makes the certificate of an authority that nobody has the key of.
func newCA() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// newJar keeps the page's cookie.
func newJar() http.CookieJar {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // without options there is nothing that can fail
	}
	return jar
}
