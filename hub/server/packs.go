package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/feed"
	"otor/internal/form"
	"otor/internal/identity"
	"otor/internal/pack"
	"otor/internal/webui"
)

// The bodies of the facts about packs. The pieces come first, as many as go into
// a record; the pack itself names them.
type (
	pieceFact struct {
		Pieces [][]byte `json:"pieces"`
	}
	packFact struct {
		ID      string `json:"id"`
		Version uint32 `json:"version"`
		Signed  []byte `json:"signed"` // the edition as devices get it
		At      int64  `json:"at"`
	}
)

// openPacks reads what was published before.
func (s *Server) openPacks(ctx context.Context, key identity.PublicKey) error {
	if s.cfg.Packs == nil {
		return nil
	}
	all, err := s.store.Packs(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		e, err := pack.OpenEdition(p.Signed, key)
		if err == nil {
			var loaded *pack.Pack
			if loaded, err = e.Load(func(x pack.Piece) ([]byte, error) { return s.store.Piece(ctx, store.PieceHash(x)) }); err == nil {
				s.cfg.Packs.Put(loaded)
				continue
			}
		}
		return fmt.Errorf("open pack %s version %d, which was published: %w", p.ID, p.Version, err)
	}
	return nil
}

func keepPieces(tx store.Tx, _ ledger.Fact, b pieceFact) error {
	var errs []error
	for _, x := range b.Pieces {
		errs = append(errs, tx.PutPiece(store.PieceHash(pack.HashOf(x)), x))
	}
	return errors.Join(errs...)
}

// publishAgain brings about what the journal brought back.
func (s *Server) publishAgain(tx store.Tx, f ledger.Fact, b packFact) error {
	if err := putPack(tx, f.By, b, s.key.Public()); err != nil {
		return err
	}
	if s.cfg.Packs == nil {
		return nil // it is kept, and this hub does not work with it
	}
	e, err := pack.OpenEdition(b.Signed, s.key.Public())
	if err != nil {
		return err
	}
	// What was decided after it is judged by it.
	p, err := e.Load(func(x pack.Piece) ([]byte, error) { return tx.Piece(store.PieceHash(x)) })
	if err != nil {
		return err
	}
	s.cfg.Packs.Put(p)
	return nil
}

// putPack stores a version whose pieces are there, and puts it into the feed of
// everybody: pieces that no version before it had, and the edition last, so that
// whoever has the edition has all of it.
func putPack(tx store.Tx, by string, b packFact, key identity.PublicKey) error {
	e, err := pack.OpenEdition(b.Signed, key)
	if err != nil {
		return err
	}
	before, err := tx.Packs()
	if err != nil {
		return err
	}
	sent := map[pack.Piece]bool{}
	for _, p := range before {
		old, err := pack.OpenEdition(p.Signed, key)
		if err != nil {
			return err
		}
		for _, x := range old.Pieces() {
			sent[x] = true
		}
	}
	var changes []store.FeedChange
	for _, x := range e.Pieces() {
		if sent[x] {
			continue
		}
		body, err := tx.Piece(store.PieceHash(x))
		if err != nil {
			return err
		}
		changes = append(changes, store.FeedChange{Scope: feed.Everybody, Kind: feed.Form, Key: pack.PieceKeys + x.String(), Body: body})
	}
	changes = append(changes, store.FeedChange{Scope: feed.Everybody, Kind: feed.Form, Key: e.Key(), Body: b.Signed})
	if err := tx.AddPack(store.Pack{ID: e.ID, Version: e.Version, Signed: b.Signed, At: b.At, By: by}); err != nil {
		return err
	}
	return tx.Publish(b.At, changes...)
}

// PackLine is a line of the list of packs.
type PackLine struct {
	ID      string `json:"id"`
	Version uint32 `json:"version"`
	Title   string `json:"title"`
	// Titles is the title by language.
	Titles form.Labels `json:"-"`
	// PublishedAt is nil for the pack that the program came with.
	PublishedAt *time.Time `json:"published_at"`
	By          string     `json:"by,omitempty"`
	ApprovedBy  string     `json:"approved_by"`
	Forms       int        `json:"forms"`
	Current     bool       `json:"current"` // new records go by it
	Devices     int        `json:"devices"` // that said in their last hello that they work by it
	// FormTitles are what its forms are called, by language.
	FormTitles map[string]form.Labels `json:"form_titles,omitempty"`
}

// Packs lists the versions of the form pack, the one that the program came with first.
func (o *Office) Packs(ctx context.Context) ([]PackLine, error) {
	if o.packs == nil {
		return nil, errNoPacks()
	}
	devices, err := o.store.Devices(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := o.store.Packs(ctx)
	if err != nil {
		return nil, err
	}
	out := []PackLine{}
	for _, p := range append([]*pack.Pack{o.packs.Base()}, o.packs.Published()...) {
		l := PackLine{
			ID: p.ID, Version: p.Version, Title: p.Title.In("en"), Titles: p.Title, ApprovedBy: p.ApprovedBy, Forms: len(p.Forms.IDs()), Current: p == o.packs.Current(), FormTitles: make(map[string]form.Labels),
		}
		for _, id := range p.Forms.IDs() {
			if f, ok := p.Forms.Latest(id); ok {
				l.FormTitles[id] = f.Title
			}
		}
		if p != o.packs.Base() {
			i := slices.IndexFunc(stored, func(x store.Pack) bool { return x.ID == p.ID && x.Version == p.Version })
			if i >= 0 {
				l.PublishedAt, l.By = o.maybe(stored[i].At), stored[i].By
			}
		}
		for _, d := range devices {
			if d.RevokedAt == 0 && d.Contact.Pack == p.ID && d.Contact.PackVersion == p.Version {
				l.Devices++
			}
		}
		out = append(out, l)
	}
	return out, nil
}

func errNoPacks() error {
	return &webui.Refusal{Code: "no_packs", What: "this hub works with forms that cannot be published", Do: "start it with hub serve"}
}

// refusedPack words what is wrong with a pack; ok is false for other trouble.
func refusedPack(err error) (*webui.Refusal, bool) {
	faults := pack.Faults(err)
	if len(faults) == 0 {
		return nil, false
	}
	return &webui.Refusal{Code: "bad_pack", What: pack.Words(faults), Do: "correct what is named and try again; nothing was published"}, true
}

// CheckPack checks a pack, in a zip, as publishing it would.
func (o *Office) CheckPack(_ context.Context, zip []byte) (PackLine, error) {
	p, _, err := o.readPack(zip)
	if err != nil {
		return PackLine{}, err
	}
	return PackLine{ID: p.ID, Version: p.Version, Title: p.Title.In("en"), ApprovedBy: p.ApprovedBy, Forms: len(p.Forms.IDs())}, nil
}

func (o *Office) readPack(zip []byte) (*pack.Pack, fs.FS, error) {
	if o.packs == nil {
		return nil, nil, errNoPacks()
	}
	dir, err := pack.OpenZip(zip)
	if err != nil {
		return nil, nil, err
	}
	p, err := pack.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	before := o.packs.Published()
	if len(before) == 0 {
		before = []*pack.Pack{o.packs.Base()}
	}
	return p, dir, p.Follow(before)
}

// Published says what publishing a pack came to.
type Published struct {
	PackLine
	// Replayed is how many entries had waited for its forms and are judged now.
	Replayed int `json:"replayed"`
	// Sent is what goes to each device, in bytes before packing.
	Sent int `json:"sent"`
}

// PublishPack makes a pack, in a zip, the one by which new records go. It takes
// effect at once, here and on devices as they hear of it; entries that waited for
// its forms are judged anew. Publishing the same again changes nothing.
func (o *Office) PublishPack(ctx context.Context, zip []byte) (Published, error) {
	var out Published
	p, dir, err := o.readPack(zip)
	if err != nil {
		if same, ok := o.publishedSame(ctx, zip); ok {
			return same, nil
		}
		return out, err
	}
	e, pieces, err := pack.Publish(dir)
	if err != nil {
		return out, err
	}
	signed, err := e.Sign(o.key)
	if err != nil {
		return out, err
	}
	if out.Sent, err = o.recordPieces(ctx, e, pieces); err != nil {
		return out, fmt.Errorf("publish pack %s version %d: %w", e.ID, e.Version, err)
	}
	body := packFact{ID: e.ID, Version: e.Version, Signed: signed, At: o.now().UnixMilli()}
	_, err = o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindPack, Subject: fmt.Sprintf("%s %d", e.ID, e.Version), Body: body},
		func(tx store.Tx, a *ledger.Act) error { return putPack(tx, a.By, body, o.hubKey) })
	if errors.Is(err, store.ErrExists) {
		err = &webui.Refusal{Code: "pack_exists", What: "somebody published another pack of that version meanwhile", Which: fmt.Sprintf("%s %d", e.ID, e.Version), Do: "see hub pack list, and give yours the next version"}
	}
	if err != nil {
		return out, fmt.Errorf("publish pack %s version %d: %w", e.ID, e.Version, err)
	}
	o.packs.Put(p)
	if out.Replayed, err = o.replay(context.WithoutCancel(ctx), o.store); err != nil {
		return out, fmt.Errorf("pack %s version %d is published: %w", e.ID, e.Version, err)
	}
	out.PackLine, err = o.packLine(ctx, e)
	return out, err
}

// publishedSame finds a version that is published with the very same content.
func (o *Office) publishedSame(ctx context.Context, zip []byte) (out Published, ok bool) {
	dir, err := pack.OpenZip(zip)
	if err != nil {
		return out, false
	}
	e, _, err := pack.Publish(dir)
	if err != nil {
		return out, false
	}
	all, err := o.store.Packs(ctx)
	if err != nil {
		return out, false
	}
	for _, p := range all {
		if had, err := pack.OpenEdition(p.Signed, o.hubKey); err == nil && had.Same(e) {
			out.PackLine, err = o.packLine(ctx, e)
			return out, err == nil
		}
	}
	return out, false
}

func (o *Office) packLine(ctx context.Context, e pack.Edition) (PackLine, error) {
	all, err := o.Packs(ctx)
	if err != nil {
		return PackLine{}, err
	}
	i := slices.IndexFunc(all, func(l PackLine) bool { return l.ID == e.ID && l.Version == e.Version && l.PublishedAt != nil })
	if i < 0 {
		return PackLine{}, fmt.Errorf("pack %s version %d: %w", e.ID, e.Version, store.ErrNotFound)
	}
	return all[i], nil
}

// recordPieces records what the database does not have yet, and returns the bytes
// of all that no published version has.
func (o *Office) recordPieces(ctx context.Context, e pack.Edition, pieces map[pack.Piece][]byte) (sent int, err error) {
	var some [][]byte
	size := 0
	flush := func() error {
		if len(some) == 0 {
			return nil
		}
		_, err := o.ledger.Record(ctx, ledger.Act{By: actor(ctx), Kind: kindPiece, Subject: fmt.Sprintf("%s %d", e.ID, e.Version), Body: pieceFact{Pieces: some}}, nil)
		some, size = nil, 0
		return err
	}
	for _, x := range e.Pieces() {
		body := pieces[x]
		_, err := o.store.Piece(ctx, store.PieceHash(x))
		if err == nil {
			continue
		}
		if !errors.Is(err, store.ErrNotFound) {
			return sent, err
		}
		if size+len(body) > pack.MaxPiece {
			if err := flush(); err != nil {
				return sent, err
			}
		}
		some, size, sent = append(some, body), size+len(body)+64, sent+len(body)
	}
	return sent, flush()
}

// packages serves what is done with packs.
func (o *Office) packages(mux *http.ServeMux, bell *webui.Bell) {
	mux.HandleFunc("GET "+officePath+"packs", func(w http.ResponseWriter, r *http.Request) {
		v, err := o.Packs(r.Context())
		answer(w, v, err)
	})
	post := func(name string, do func(ctx context.Context, zip []byte) (any, error)) {
		mux.HandleFunc("POST "+officePath+name, func(w http.ResponseWriter, r *http.Request) {
			zip, err := io.ReadAll(http.MaxBytesReader(w, r.Body, pack.MaxZip))
			if err != nil {
				answer(w, nil, &webui.Refusal{Code: "bad_request", What: fmt.Sprintf("the zip could not be read, or has more than %d MiB", pack.MaxZip>>20), Which: err.Error()})
				return
			}
			v, err := do(r.Context(), zip)
			bell.Ring()
			answer(w, v, err)
		})
	}
	post("packs/check", func(ctx context.Context, zip []byte) (any, error) { return o.CheckPack(ctx, zip) })
	post("packs", func(ctx context.Context, zip []byte) (any, error) { return o.PublishPack(ctx, zip) })
}

// Packs does what [Office.Packs] does.
func (c *Client) Packs(ctx context.Context) ([]PackLine, error) {
	return ask[[]PackLine](ctx, c, http.MethodGet, "packs", nil, nil)
}

// CheckPack does what [Office.CheckPack] does.
func (c *Client) CheckPack(ctx context.Context, zip []byte) (PackLine, error) {
	return upload[PackLine](ctx, c, "packs/check", zip)
}

// PublishPack does what [Office.PublishPack] does.
func (c *Client) PublishPack(ctx context.Context, zip []byte) (Published, error) {
	return upload[Published](ctx, c, "packs", zip)
}

// upload sends bytes as they are.
func upload[T any](ctx context.Context, c *Client, path string, b []byte) (v T, err error) {
	resp, err := c.send(ctx, http.MethodPost, path, nil, bytes.NewReader(b))
	if err != nil {
		return v, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return v, fmt.Errorf("ask the running hub: %w", err)
	}
	return v, nil
}
