package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"otor/hub/ingest"
	"otor/hub/reconcile"
	"otor/hub/store"
	"otor/hub/store/sqlite"
	"otor/internal/batch"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/hlc"
	"otor/internal/identity"
	"otor/internal/merge"
	"otor/internal/pack"
	"otor/internal/receipt"
	"otor/internal/rules"
)

// Rehearse runs the cases that a pack carries: its records are made as devices make
// them, and taken in as a hub takes them in, in a database that is removed afterwards.
// The error joins a [*pack.Fault] for each thing that came out otherwise than the case
// says, by file and line.
func Rehearse(ctx context.Context, p *pack.Pack) (err error) {
	if len(p.Cases) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "otor-cases-")
	if err != nil {
		return fmt.Errorf("run the cases of pack %s: %w", p.ID, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var faults []error
	for i := range p.Cases {
		c := &p.Cases[i]
		found, err := rehearse(ctx, p, c, filepath.Join(dir, fmt.Sprintf("%d.db", i)))
		if err != nil {
			return fmt.Errorf("run case %s of %s: %w", c.ID, c.File, err)
		}
		for _, f := range found {
			faults = append(faults, f)
		}
	}
	return errors.Join(faults...)
}

// stage is a hub for one case.
type stage struct {
	*pack.Case
	pack   *pack.Pack
	shelf  *pack.Shelf
	store  *sqlite.Store
	ingest *ingest.Ingest
	cfg    ingest.Config
	now    time.Time
	key    identity.SigningKey
	chains map[dot.Chain]*told
	before map[entry.Ref]*merge.State // what was known before the case's records
	faults []*pack.Fault
}

// told is how far a device's chain is.
type told struct {
	seq  dot.Seq
	head entry.Hash
}

func rehearse(ctx context.Context, p *pack.Pack, c *pack.Case, file string) (faults []*pack.Fault, err error) {
	db, err := sqlite.Open(ctx, file, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	seed := sha256.Sum256([]byte("the cases of a pack"))
	key, err := identity.SigningKeyFromSeed(seed[:])
	if err != nil {
		return nil, err
	}
	s := &stage{
		Case: c, pack: p, shelf: pack.NewShelf(p), store: db, key: key, chains: map[dot.Chain]*told{}, before: map[entry.Ref]*merge.State{},
		now: c.Today.Add(-30 * 24 * time.Hour),
	}
	log := slog.New(slog.DiscardHandler)
	s.cfg = ingest.Config{
		Store: db, Forms: s.shelf, Key: key, Epoch: func() receipt.Epoch { return receipt.Epoch{} }, Now: func() time.Time { return s.now },
		Zone: zoneOf(c), Demo: true, Log: log, Types: s.shelf.Type, Rules: s.shelf.RulesFor,
	}
	rounds := reconcile.New(reconcile.Config{
		Domain: s.shelf, Log: log, Noted: func(e store.Entry) *rules.Record { return ingest.Noted(e, s.cfg) },
	})
	s.cfg.Begin = func(tx store.Tx, at int64) ingest.Round { return rounds.Begin(tx, at) }
	s.ingest = ingest.New(s.cfg)
	if err := s.known(ctx); err != nil {
		return nil, err
	}
	dots := make([]dot.Dot, len(c.Records))
	for i := range c.Records {
		if dots[i], err = s.record(ctx, &c.Records[i]); err != nil {
			return nil, err
		}
	}
	if err := s.verdicts(ctx, dots); err != nil {
		return nil, err
	}
	return s.faults, s.states(ctx)
}

// zoneOf is where a case's dates are reckoned: where its first record was made, so that it
// comes out alike wherever it is run.
func zoneOf(c *pack.Case) *time.Location {
	if len(c.Records) == 0 {
		return time.UTC
	}
	_, offset := c.Records[0].At.Zone()
	return time.FixedZone("", offset)
}

// fault notes what came out otherwise.
func (s *stage) fault(line int, format string, args ...any) {
	s.faults = append(s.faults, &pack.Fault{File: s.File, Line: line, Words: "case " + s.ID + ": " + fmt.Sprintf(format, args...)})
}

// known brings in the pack's reference data and the case's own.
func (s *stage) known(ctx context.Context) error {
	a, err := ingest.NewAuthor(s.cfg, s.shelf, strings.NewReader(strings.Repeat("salt of a case, ", 1<<14)))
	if err != nil {
		return err
	}
	var all []ingest.Fixture
	for _, x := range slices.Concat(s.pack.Fixtures, s.Entities) {
		all = append(all, ingest.Fixture{Ref: entry.Ref{Type: x.Type, ID: x.ID}, Fields: x.Fields})
	}
	return a.Import(ctx, "case", all)
}

// record makes a record as a device makes it and takes it in.
func (s *stage) record(ctx context.Context, r *pack.CaseRecord) (dot.Dot, error) {
	s.now = r.Arrives
	c := dot.Chain{Device: dot.Device(r.Device), Incarnation: 1, Lane: r.Form.Lane}
	at, err := s.chain(ctx, c)
	if err != nil {
		return dot.Dot{}, err
	}
	d := c.At(at.seq + 1)
	wall := r.At.UnixMilli()
	_, offset := r.At.Zone()
	pub := entry.Public{
		Dot: d, HLC: hlc.Time{Millis: wall}, Wall: wall, Zone: offset / 60, Offset: &entry.Offset{}, Actor: r.Actor,
		Form: entry.FormRef{ID: r.Form.ID, Version: r.Form.Version},
	}
	if d.Seq == 1 {
		pub.Origin = &entry.Origin{Reason: entry.Installed}
	}
	if r.Entity != "" && r.Form.Entity != "" {
		pub.Refs = []entry.Ref{{Type: r.Form.Entity, ID: r.Entity}}
	}
	if p := r.Place; p != nil {
		pub.Position = &entry.Position{Lon: int32(p[0] * 1e6), Lat: int32(p[1] * 1e6), Source: entry.GNSS}
	}
	saved, err := r.Form.Saved(r.Entity, r.Answers, form.MomentOf(r.At))
	if err != nil {
		s.fault(r.Line, "the record cannot be made: %v", err)
		return dot.Dot{}, nil
	}
	private := entry.Private{Fields: r.Answers}
	desk := merge.Desk{Type: s.shelf.Type, Displayed: func(ref entry.Ref) (*merge.State, error) { return s.displayed(ctx, ref, r.Unaware) }}
	if err := desk.Fill(&pub, &private, saved); err != nil {
		s.fault(r.Line, "the record cannot be made: %v", err)
		return dot.Dot{}, nil
	}
	return d, s.send(ctx, c, at, pub, private)
}

// send takes one entry in, in a batch of its own.
func (s *stage) send(ctx context.Context, c dot.Chain, at *told, pub entry.Public, private entry.Private) error {
	b, err := pub.Encode()
	if err != nil {
		return err
	}
	priv, err := private.Encode()
	if err != nil {
		return err
	}
	raw := entry.NewRaw(b, priv)
	frame, _, err := batch.Seal(c, at.seq+1, at.head, []entry.Raw{raw}, s.key, batch.Small)
	if err != nil {
		return err
	}
	at.seq, at.head = at.seq+1, entry.Next(at.head, raw)
	_, err = s.ingest.Take(ctx, []ingest.Arrival{{Sender: c.Device, Frame: frame}})
	return err
}

// chain is how far a device's chain is; a new device is let in.
func (s *stage) chain(ctx context.Context, c dot.Chain) (*told, error) {
	if at := s.chains[c]; at != nil {
		return at, nil
	}
	known := false
	for x := range s.chains {
		known = known || x.Device == c.Device
	}
	if !known {
		code, at := sha256.Sum256([]byte(c.Device)), s.now.UnixMilli()
		err := s.store.Invite(ctx, store.Invitation{Device: c.Device, CodeHash: code, AddedAt: at, ExpiresAt: at + 1000}, true)
		if err == nil {
			_, err = s.store.Redeem(ctx, store.Enrolment{CodeHash: code, SignKey: s.key.Public(), NatsKey: "U" + string(c.Device), At: at})
		}
		if err != nil {
			return nil, err
		}
	}
	s.chains[c] = &told{head: entry.Genesis(c)}
	return s.chains[c], nil
}

// displayed is an entity as the record's author had it in view: as the hub has it, or as
// it was before the case's first record that writes to it.
func (s *stage) displayed(ctx context.Context, ref entry.Ref, unaware bool) (*merge.State, error) {
	now, err := s.state(ctx, ref)
	if err != nil {
		return nil, err
	}
	if s.before[ref] == nil {
		s.before[ref] = now
	}
	if unaware {
		return s.before[ref], nil
	}
	return now, nil
}

func (s *stage) state(ctx context.Context, ref entry.Ref) (*merge.State, error) {
	row, err := s.store.Entity(ctx, ref)
	if errors.Is(err, store.ErrNotFound) {
		return merge.New(ref), nil
	}
	if err != nil {
		return nil, err
	}
	return merge.Decode(row.State)
}

// verdicts compares what became of each record.
func (s *stage) verdicts(ctx context.Context, dots []dot.Dot) error {
	by := map[dot.Dot]store.Judgement{}
	for e, err := range s.store.Entries(ctx, store.EntryQuery{}) {
		if err != nil {
			return err
		}
		by[e.Dot] = e.Judgement
	}
	for i, r := range s.Records {
		if dots[i].IsZero() {
			continue
		}
		j := by[dots[i]]
		switch {
		case string(j.Verdict) != r.Verdict:
			s.fault(r.Line, "the verdict is %s, not %s%s", j.Verdict, r.Verdict, because(j))
		case r.Why != "" && j.Code != r.Why:
			s.fault(r.Line, "it is %s because of %q, not of %q", j.Verdict, j.Code, r.Why)
		}
	}
	return nil
}

func because(j store.Judgement) string {
	if j.Code == "" {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", j.Code, j.Words)
}

// states compares what entities show, derived values among it.
func (s *stage) states(ctx context.Context) error {
	rows := rules.Rows{}
	for i := range s.pack.Entities {
		typ := s.pack.Entities[i].Type
		rows[typ] = map[string]map[string]any{}
		for row, err := range s.store.EntitiesOf(ctx, typ) {
			if err != nil {
				return err
			}
			state, err := merge.Decode(row.State)
			if err != nil {
				return err
			}
			rows[typ][row.Ref.ID] = reconcile.Shown(state, s.shelf.Type(typ))
		}
	}
	today := s.Today.Format(time.DateOnly)
	for _, want := range s.States {
		shown, known := rows.Entity(want.Type, want.ID)
		if !known {
			s.fault(want.Line, "there is no %s %s", want.Type, want.ID)
			continue
		}
		got := maps.Clone(shown)
		derived, err := s.shelf.Rules().Derive(rows, today, want.Type, want.ID)
		for name, v := range derived {
			if v != nil {
				got[name] = v
			}
		}
		for _, name := range slices.Sorted(maps.Keys(want.Fields)) {
			if v := want.Fields[name]; !reflect.DeepEqual(asRead(v), asRead(got[name])) {
				why := ""
				if err != nil && got[name] == nil {
					why = ": " + err.Error()
				}
				s.fault(want.Line, "%s %s shows %s = %v, not %v%s", want.Type, want.ID, name, got[name], v, why)
			}
		}
	}
	return nil
}

// asRead makes numbers alike, however they are kept.
func asRead(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case json.Number:
		x, err := v.Float64()
		if err != nil {
			return v
		}
		return x
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = asRead(v[i])
		}
		return out
	default:
		return v
	}
}
