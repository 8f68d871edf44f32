package storetest

import (
	"errors"
	"sync"
	"sync/atomic"

	"otor/hub/store"
)

var operatorChecks = []check{
	{name: "operators are added and changed", run: checkOperators},
	{name: "a change ends what began before it", run: checkGeneration},
	{name: "a link works once", run: checkLinks},
	{name: "tokens are added and revoked", run: checkTokens},
}

var sarna = store.Operator{
	Name: "sarna", Title: "萨日娜", Role: "reconciler", Scopes: []string{"gacha:NB", "route:R1"}, Password: "$argon2id$...",
	TOTP: []byte{0, 1, 2}, TOTPStep: 7, FactorAt: noon, AddedAt: noon, Generation: 1,
}

func checkOperators(t T, w *world) {
	ok(t, "add", w.AddOperator(t.Context(), sarna))
	if err := w.AddOperator(t.Context(), sarna); !errors.Is(err, store.ErrExists) {
		t.Errorf("adding a name twice: %v", err)
	}
	bare := store.Operator{Name: "bat", Role: "viewer", AddedAt: noon + 1, Scopes: []string{}}
	ok(t, "add another", w.AddOperator(t.Context(), bare))
	broken := errors.New("thought better of it")
	err := w.ChangeOperator(t.Context(), "sarna", func(o *store.Operator) error { o.Role = "administrator"; return broken })
	if !errors.Is(err, broken) {
		t.Errorf("a change that fails: %v", err)
	}
	want := sarna
	want.Role, want.Scopes, want.Title, want.TOTP, want.TOTPStep, want.FactorAt, want.DisabledAt = "dispatcher", []string{"*"}, "S.", nil, 9, noon+2, noon+5
	ok(t, "change", w.ChangeOperator(t.Context(), "sarna", func(o *store.Operator) error {
		o.Role, o.Scopes, o.Title, o.TOTP, o.TOTPStep, o.FactorAt, o.DisabledAt = want.Role, want.Scopes, want.Title, nil, 9, noon+2, noon+5
		return nil
	}))
	w.again(t)
	got, err := w.ListOperators(t.Context())
	ok(t, "list", err)
	same(t, "operators", got, []store.Operator{bare, want})
	one, err := w.Operator(t.Context(), "sarna")
	ok(t, "operator", err)
	same(t, "operator", one, want)
	if _, err := w.Operator(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown operator: %v", err)
	}
	err = w.ChangeOperator(t.Context(), "nobody", func(*store.Operator) error { return nil })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("changing an unknown operator: %v", err)
	}
}

func checkGeneration(t T, w *world) {
	ok(t, "add", w.AddOperator(t.Context(), sarna))
	s := store.Session{Hash: codeOf("s"), Operator: "sarna", Generation: 1, BeganAt: noon, SeenAt: noon, EndsAt: noon + 100, From: "192.0.2.1"}
	ok(t, "session", w.AddSession(t.Context(), s))
	ok(t, "see", w.SeeSession(t.Context(), s.Hash, noon+9))
	ok(t, "see earlier", w.SeeSession(t.Context(), s.Hash, noon+3))
	s.SeenAt = noon + 9
	got, err := w.Session(t.Context(), s.Hash)
	ok(t, "session", err)
	same(t, "session", got, s)
	link := store.Link{Hash: codeOf("l"), Operator: "sarna", AddedAt: noon, ExpiresAt: noon + 100}
	ok(t, "link", w.AddLink(t.Context(), link))

	ok(t, "retitle", w.ChangeOperator(t.Context(), "sarna", func(o *store.Operator) error { o.Title = "S"; return nil }))
	if _, err := w.Session(t.Context(), s.Hash); err != nil {
		t.Errorf("a change of the title ended the session: %v", err)
	}
	ok(t, "raise", w.ChangeOperator(t.Context(), "sarna", func(o *store.Operator) error { o.Generation++; return nil }))
	if _, err := w.Session(t.Context(), s.Hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the session outlived a change of its operator: %v", err)
	}
	if _, err := w.SpendLink(t.Context(), link.Hash, noon); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the link outlived a change of its operator: %v", err)
	}

	s.Generation = 2
	ok(t, "again", w.AddSession(t.Context(), s))
	ok(t, "end", w.EndSession(t.Context(), s.Hash))
	ok(t, "end twice", w.EndSession(t.Context(), s.Hash))
	if _, err := w.Session(t.Context(), s.Hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an ended session: %v", err)
	}
	ok(t, "a third", w.AddSession(t.Context(), s))
	later := s
	later.Hash, later.BeganAt, later.EndsAt = codeOf("later"), noon+1000, noon+2000
	ok(t, "a later one", w.AddSession(t.Context(), later))
	if _, err := w.Session(t.Context(), s.Hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session that ended long ago is kept: %v", err)
	}
	nobody := s
	nobody.Operator, nobody.Hash = "nobody", codeOf("n")
	if err := w.AddSession(t.Context(), nobody); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session of nobody: %v", err)
	}
}

func checkLinks(t T, w *world) {
	ok(t, "add", w.AddOperator(t.Context(), sarna))
	link := func(words string) store.Link {
		return store.Link{Hash: codeOf(words), Operator: "sarna", AddedAt: noon, ExpiresAt: noon + 100}
	}
	ok(t, "link", w.AddLink(t.Context(), link("first")))
	ok(t, "replace", w.AddLink(t.Context(), link("second")))
	if _, err := w.SpendLink(t.Context(), codeOf("first"), noon); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a replaced link: %v", err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if name, err := w.SpendLink(t.Context(), codeOf("second"), noon+99); err == nil && name == "sarna" {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	same(t, "times that the link worked", won.Load(), int32(1))
	ok(t, "third", w.AddLink(t.Context(), link("third")))
	if _, err := w.SpendLink(t.Context(), codeOf("third"), noon+100); !errors.Is(err, store.ErrCodeExpired) {
		t.Errorf("a link that is over: %v", err)
	}
	if err := w.AddLink(t.Context(), store.Link{Hash: codeOf("x"), Operator: "nobody"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a link for nobody: %v", err)
	}
}

func checkTokens(t T, w *world) {
	ok(t, "add", w.AddOperator(t.Context(), sarna))
	tok := store.APIToken{Hash: codeOf("t"), Operator: "sarna", Label: "gis", Role: "viewer", Scopes: []string{"gacha:NB"}, AddedAt: noon, ExpiresAt: noon + 9}
	ok(t, "token", w.AddToken(t.Context(), tok))
	twice := tok
	twice.Hash = codeOf("t2")
	if err := w.AddToken(t.Context(), twice); !errors.Is(err, store.ErrExists) {
		t.Errorf("a label in use: %v", err)
	}
	w.again(t)
	got, err := w.Token(t.Context(), tok.Hash)
	ok(t, "token", err)
	same(t, "token", got, tok)
	ok(t, "revoke", w.RevokeToken(t.Context(), "sarna", "gis", noon+5))
	ok(t, "revoke again", w.RevokeToken(t.Context(), "sarna", "gis", noon+7))
	tok.RevokedAt = noon + 5
	ok(t, "the label is free", w.AddToken(t.Context(), twice))
	all, err := w.Tokens(t.Context())
	ok(t, "tokens", err)
	if len(all) != 2 {
		t.Fatalf("%d tokens, want 2", len(all))
	}
	for _, a := range all {
		if a.Hash == tok.Hash {
			same(t, "revoked token", a, tok)
		}
	}
	for _, name := range []string{"nobody", "sarna"} {
		if err := w.RevokeToken(t.Context(), name, "other", noon); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("revoking an unknown token of %s: %v", name, err)
		}
	}
	if _, err := w.Token(t.Context(), codeOf("unknown")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown token: %v", err)
	}
	// Who is shut out loses them, and does not get them back: not by a hub either that did
	// not end them at once.
	access := func(at int64) {
		t.Helper()
		ok(t, "change", w.ChangeOperator(t.Context(), "sarna", func(o *store.Operator) error { o.DisabledAt = at; return nil }))
	}
	access(noon + 11)
	late := tok
	late.Hash, late.Label, late.RevokedAt = codeOf("t3"), "late", 0
	ok(t, "a token while shut out", w.AddToken(t.Context(), late))
	access(0)
	for hash, want := range map[[32]byte]int64{tok.Hash: noon + 5, twice.Hash: noon + 11, late.Hash: noon + 11} {
		got, err := w.Token(t.Context(), hash)
		ok(t, "token", err)
		same(t, "revoked at", got.RevokedAt, want)
	}
}
