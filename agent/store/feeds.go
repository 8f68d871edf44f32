package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"otor/internal/feed"
)

type (
	// Feed is how far the device has come with a scope.
	Feed = feed.State
	// HeldCursor is one of the hub's cursors that it passed.
	HeldCursor = feed.Held
	// Page is a checked page, to be applied.
	Page = feed.Page
	// Fetched is the answer about doubtful rows.
	Fetched = feed.Fetched
)

// feedRow is the row under 34.
type feedRow struct {
	Gen     uint32       `cbor:"1,keyasint"` // of the rows that are shown; from 1
	Rows    uint64       `cbor:"2,keyasint"`
	Cursors []HeldCursor `cbor:"3,keyasint,omitempty"`
	Line    uint32       `cbor:"4,keyasint"` // rises whenever the hub turned out to be put back
	Turns   []turn       `cbor:"5,keyasint,omitempty"`
	Next    *nextGen     `cbor:"6,keyasint,omitempty"`
	Left    bool         `cbor:"7,keyasint,omitempty"` // not granted any more: its rows are being removed
	AsOf    int64        `cbor:"8,keyasint,omitempty"` // Unix ms
}

// turn says that line Line began above N: what earlier lines brought above it is doubtful.
type turn struct {
	_    struct{} `cbor:",toarray"`
	Line uint32
	N    uint64
}

// nextGen is a generation that is being loaded.
type nextGen struct {
	Gen     uint32       `cbor:"1,keyasint"`
	Rows    uint64       `cbor:"2,keyasint"`
	Cursors []HeldCursor `cbor:"3,keyasint,omitempty"`
}

// feedState is a feedRow in memory, with what is not kept.
type feedState struct {
	feedRow
	sick bool // rows are damaged or missing: load it anew
}

func (f *feedState) clone() *feedState {
	own := *f
	own.Cursors, own.Turns = slices.Clone(f.Cursors), slices.Clone(f.Turns)
	if f.Next != nil {
		next := *f.Next
		next.Cursors = slices.Clone(f.Next.Cursors)
		own.Next = &next
	}
	return &own
}

// doubts reports whether a row that came at n in a line must be asked for again.
func (f *feedState) doubts(line uint32, n uint64) bool {
	return slices.ContainsFunc(f.Turns, func(t turn) bool { return t.Line > line && n > t.N })
}

func (f *feedState) view(scope string) Feed {
	out := Feed{Scope: scope, Cursors: slices.Clone(f.Cursors), Doubt: len(f.Turns) > 0, Rows: f.Rows, AsOf: when(f.AsOf)}
	if f.Next != nil {
		out.Loading, out.Cursors, out.Doubt = true, slices.Clone(f.Next.Cursors), false
	}
	return out
}

// Feed returns how far a scope is; the beginning for one that is not here.
func (s *Store) Feed(scope string) Feed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if f := s.feeds[scope]; f != nil && !f.Left {
		return f.view(scope)
	}
	return Feed{Scope: scope}
}

// Feeds returns how far each scope is that the device holds, by name.
func (s *Store) Feeds() []Feed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Feed
	for scope, f := range s.feeds {
		if !f.Left {
			out = append(out, f.view(scope))
		}
	}
	slices.SortFunc(out, func(a, b Feed) int {
		if a.Scope < b.Scope {
			return -1
		}
		return 1
	})
	return out
}

// ErrStale says that a page does not follow the cursor that the device has now:
// it is late, or came twice. Nothing was changed.
var ErrStale = errors.New("the page does not follow what was applied")

// feedAct is what the committer is asked to do with a scope's feed.
type feedAct struct {
	page    *Page
	resume  *HeldCursor
	rebase  bool
	fetched *Fetched
	scope   string // of resume and rebase
	grant   []string
	asOf    []string
	sweep   []row // deletions
	forget  []string
	failed  error // the answer, when nothing was to be done
}

func (a *feedAct) weight() int {
	n := 1 << 10 * (1 + len(a.sweep)/8)
	if a.page != nil {
		n += rowsWeight(a.page.Rows)
	}
	if a.fetched != nil {
		n += rowsWeight(a.fetched.Rows)
	}
	return n
}

func rowsWeight(rows []feed.Row) (n int) {
	for _, r := range rows {
		n += r.Size() + len(r.Key) + sealOverhead + 64
	}
	return n
}

func (s *Store) feedAct(ctx context.Context, what string, a *feedAct) error {
	r := &request{feed: a}
	if err := s.send(ctx, r); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return a.failed
}

// ApplyPage puts a page's rows into the scope's base, and its cursor beside
// them, in ONE commit: a device that had the cursor and not the rows would
// never ask for them again. A page that does not follow what is there answers
// [ErrStale]. Only what the hub sent is changed: overlay and entries stay.
func (s *Store) ApplyPage(ctx context.Context, p Page) error {
	return s.feedAct(ctx, "apply a page of "+p.Scope, &feedAct{page: &p})
}

// ResumeFeed goes back to a cursor that the device passed once, because the hub
// was put back and knows none that is newer. What came above it stays shown,
// and is doubtful until it has been asked for again.
func (s *Store) ResumeFeed(ctx context.Context, scope string, at HeldCursor) error {
	return s.feedAct(ctx, "resume "+scope, &feedAct{scope: scope, resume: &at})
}

// RebaseFeed begins to load the scope anew: into a new generation of rows that
// takes the place of the shown one with its last page.
func (s *Store) RebaseFeed(ctx context.Context, scope string) error {
	return s.feedAct(ctx, "load "+scope+" anew", &feedAct{scope: scope, rebase: true})
}

// ApplyFetched puts rows that were doubtful right, in one commit with the cursor.
func (s *Store) ApplyFetched(ctx context.Context, f Fetched) error {
	return s.feedAct(ctx, "refetch rows of "+f.Scope, &feedAct{fetched: &f})
}

// GrantScopes says which scopes the device holds from now on: no page of any
// other is applied. What it holds of others is not shown any more once this
// returns, and removed by [Store.Sweep]. Entries and overlay stay.
func (s *Store) GrantScopes(ctx context.Context, scopes []string) error {
	s.mu.RLock()
	change, taken := false, false
	for scope, f := range s.feeds {
		taken = taken || !f.Left && !slices.Contains(scopes, scope)
	}
	change = taken
	for _, scope := range scopes {
		if len(scope) == 0 || len(scope) > maxScope {
			s.mu.RUnlock()
			return fmt.Errorf("hold scope %q: a name has 1 to %d bytes", scope, maxScope)
		}
		f := s.feeds[scope]
		change = change || f == nil || f.Left
	}
	s.mu.RUnlock()
	if !change {
		return nil
	}
	if taken {
		if err := s.markAway(ctx, scopes); err != nil {
			return err
		}
	}
	return s.feedAct(ctx, "leave scopes", &feedAct{grant: append([]string{}, scopes...)})
}

// maxScope bounds a scope's name in bytes: its length is one byte of a key.
const maxScope = 255

// ConfirmFeeds notes that the device has, at this moment, all that the hub has
// of these scopes.
func (s *Store) ConfirmFeeds(ctx context.Context, scopes []string) error {
	if len(scopes) == 0 {
		return nil
	}
	return s.feedAct(ctx, "note how old scopes are", &feedAct{asOf: scopes})
}

// takeFeeds makes what was committed visible. s.mu is held.
func (s *Store) takeFeeds(p *plan) {
	s.noteChanged(p)
	judged := func(n scopedName) bool { return n.Slot == feed.Verdict }
	if len(p.switched) > 0 || slices.ContainsFunc(p.changed, judged) {
		s.returned, s.verdicts = nil, s.verdicts+1
	}
	for scope, f := range p.feeds {
		if f == nil {
			delete(s.feeds, scope)
			continue
		}
		if had := s.feeds[scope]; had != nil && had.sick {
			if f.sick = !slices.Contains(p.switched, scope); !f.sick {
				s.recovered(scope)
			}
		}
		s.feeds[scope] = f
	}
}

// recovered forgets the findings about a scope's rows: it holds others now.
// s.mu is held.
func (s *Store) recovered(scope string) {
	before := len(s.findings)
	s.findings = slices.DeleteFunc(s.findings, func(f Finding) bool {
		return f.Code == CodeBaseDamaged && strings.HasSuffix(f.Which, " of "+scope)
	})
	s.unkept = s.unkept || len(s.findings) != before
}

// keepCursors puts a cursor before the others. When there are too many, the one
// goes whose neighbours are the closest for how long ago they are: so the newest
// stand side by side and the oldest reach far back.
func keepCursors(cs []HeldCursor, next HeldCursor) []HeldCursor {
	cs = append([]HeldCursor{next}, cs...)
	if len(cs) > 1 && cs[1].N == next.N { // signed anew, the same place
		cs = append(cs[:1], cs[2:]...)
	}
	if len(cs) <= feed.MaxCursors {
		return cs
	}
	drop, least := 1, 2.0
	for i := 1; i < len(cs)-1; i++ {
		gap := float64(cs[i-1].N-cs[i+1].N) / float64(next.N-cs[i+1].N+1)
		if gap <= least {
			drop, least = i, gap
		}
	}
	return slices.Delete(cs, drop, drop+1)
}
