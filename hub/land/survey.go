package land

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"otor/hub/store"
	"otor/internal/pack"
)

// Survey is what all entities amount to at one moment. It is not changed once made.
type Survey struct {
	AsOf time.Time
	Pack *pack.Pack
	// parts are what the entities of each set of scopes amount to. Its sets are few: a
	// gacha's entities have the same ones.
	parts map[string]*part
}

// part is the share of the entities that are in the same scopes.
type part struct {
	scopes []string
	due    []map[string]int // by rule of the pack, then bucket
	status map[string]int   // households by the status of their balance
	loads  []Load           // the heaviest
	camps  map[string]int   // households by the stop at which they camp
}

// Load is what a household has against what it is allowed.
type Load struct {
	ID               string
	Counted, Allowed float64
	Share            float64 // beyond what is allowed, by it: 0.12 is 12 %
	Status           string
}

// Buckets of a rule that has none of its own.
const (
	BucketDue   = "due"
	BucketLater = "later"
)

// MostLoads is how many households a reader is shown at most.
const MostLoads = 12

// survey works everything out.
func survey(ctx context.Context, cfg Config, p *pack.Pack, day string) (*Survey, error) {
	s := &Survey{AsOf: cfg.Now(), Pack: p, parts: make(map[string]*part)}
	b := newBook(ctx, cfg)
	for i, due := range p.Dues {
		b.dues(s, p, i, due, day)
	}
	if p.Pages != nil && p.Pages.Visited != nil {
		b.visited(s, p, p.Pages.Visited, day)
	}
	if b.err == nil {
		b.err = ctx.Err()
	}
	return s, b.err
}

func (s *Survey) part(row store.Entity) *part {
	key := strings.Join(row.Scopes, "\n")
	x := s.parts[key]
	if x == nil {
		x = &part{scopes: row.Scopes, due: make([]map[string]int, len(s.Pack.Dues)), status: make(map[string]int), camps: make(map[string]int)}
		s.parts[key] = x
	}
	return x
}

// dues counts what one rule says is due. What has no day is counted nowhere: there is
// nothing to do about it by a day.
func (b *book) dues(s *Survey, p *pack.Pack, i int, rule pack.Due, day string) {
	sh := b.sheet(rule.Type)
	for _, id := range sh.ids {
		if b.ctx.Err() != nil || b.err != nil {
			return
		}
		f := b.derived(p.Rules, rule.Type, id, day)
		at, _ := f[rule.Date].(string)
		if _, err := time.Parse(time.DateOnly, at); err != nil {
			continue
		}
		bucket := BucketLater
		if at <= day {
			bucket = BucketDue
		}
		if rule.Bucket != "" {
			if bucket, _ = f[rule.Bucket].(string); bucket == "" {
				continue
			}
		}
		x := s.part(sh.of[id].row)
		if x.due[i] == nil {
			x.due[i] = make(map[string]int)
		}
		x.due[i][bucket]++
	}
}

// visited counts households by balance and by camp.
func (b *book) visited(s *Survey, p *pack.Pack, vis *pack.Visited, day string) {
	sh := b.sheet(vis.Type)
	for _, id := range sh.ids {
		if b.ctx.Err() != nil || b.err != nil {
			return
		}
		f := b.derived(p.Rules, vis.Type, id, day)
		x := s.part(sh.of[id].row)
		if stop, _ := f[vis.Stop].(string); stop != "" {
			x.camps[stop]++
		}
		if vis.Balance == nil {
			continue
		}
		l := Load{ID: id}
		var known bool
		if l.Share, known = number(f[vis.Balance.Share]); !known {
			continue
		}
		l.Counted, _ = number(f[vis.Balance.Counted])
		l.Allowed, _ = number(f[vis.Balance.Allowed])
		l.Status, _ = f[vis.Balance.Status].(string)
		x.status[l.Status]++
		if l.Share > 0 {
			x.loads = heaviest(append(x.loads, l))
		}
	}
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// heaviest sorts loads and keeps those that are shown.
func heaviest(loads []Load) []Load {
	slices.SortFunc(loads, func(a, b Load) int { return cmp.Or(cmp.Compare(b.Share, a.Share), strings.Compare(a.ID, b.ID)) })
	return loads[:min(len(loads), MostLoads)]
}

// View is what a reader sees of a survey.
type View struct {
	AsOf   time.Time
	Due    []Due
	Status map[string]int // households by the status of their balance
	Loads  []Load         // the heaviest first
	Camps  map[string]int // households by stop
}

// Due is what one rule of the pack comes to.
type Due struct {
	Rule    pack.Due
	Buckets map[string]int
}

// Of gives the part of those entities that have scopes which somebody covers.
func (s *Survey) Of(covers func(scopes []string) bool) View {
	v := View{AsOf: s.AsOf, Status: make(map[string]int), Camps: make(map[string]int)}
	for _, rule := range s.Pack.Dues {
		v.Due = append(v.Due, Due{rule, make(map[string]int)})
	}
	for _, x := range s.parts {
		if !covers(x.scopes) {
			continue
		}
		for i, by := range x.due {
			add(v.Due[i].Buckets, by)
		}
		add(v.Status, x.status)
		add(v.Camps, x.camps)
		v.Loads = append(v.Loads, x.loads...)
	}
	v.Loads = heaviest(v.Loads)
	return v
}

func add(to, from map[string]int) {
	for k, n := range from {
		to[k] += n
	}
}
