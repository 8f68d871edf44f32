package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"otor/internal/dot"
	"otor/internal/lane"
)

// Findings lists what is known to be wrong with the store so far.
func (s *Store) Findings() []Finding {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := slices.Clone(s.findings)
	for c, st := range s.chains { // no row keeps these: they follow from receipts
		if broken := st.Broken(); len(broken) > 0 {
			out = append(out, archiveBroken(c, broken))
		}
	}
	return out
}

// note keeps findings that are new.
func (s *Store) note(fs ...Finding) {
	if s.noted(fs) {
		s.signal() // what was waiting may be so no more
	}
}

// noted keeps findings that are new, and reports whether there were any of entries.
func (s *Store) noted(fs []Finding) (some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range fs {
		known := slices.ContainsFunc(s.findings, func(o Finding) bool {
			return o.Code == f.Code && o.Which == f.Which
		})
		if known || len(s.findings) >= maxFindings {
			continue
		}
		s.findings, s.unkept = append(s.findings, f), true
		some = some || f.ofEntries()
		if c := s.chains[f.Chain]; c != nil && f.ofEntries() {
			for _, r := range f.Seqs {
				c.Lost = c.Lost.Add(r)
			}
		}
		s.log.Error("store finding", "code", f.Code, "which", f.Which, "what", f.What)
	}
	return some
}

// maxFindings bounds the list.
const maxFindings = 1000

// Findings outlive the program that made them: what is wrong with received
// entries is found by a check of the whole store, and other programs must know
// it too. They are kept under one key, after each check and in Close.

// findingRow is a [Finding] of the row 20 02.
type findingRow struct {
	Code        Code            `cbor:"1,keyasint"`
	Device      dot.Device      `cbor:"2,keyasint,omitempty"` // empty: of no chain
	Incarnation dot.Incarnation `cbor:"3,keyasint,omitempty"`
	Lane        dot.Lane        `cbor:"4,keyasint,omitempty"`
	Seqs        []lane.Range    `cbor:"5,keyasint,omitempty"`
	What        string          `cbor:"6,keyasint"`
	Which       string          `cbor:"7,keyasint"`
	Do          string          `cbor:"8,keyasint"`
}

type findingsRow struct {
	Findings []findingRow `cbor:"1,keyasint"`
}

// Bounds of the row: it stays far below valueThreshold. What is left out is
// found again by the next check.
const (
	maxKept        = 100  // findings
	maxKeptRanges  = 1024 // of all of them
	maxKeptText    = 400  // bytes of each text
	maxFindingsRow = 96 << 10
)

func (r findingsRow) findings() []Finding {
	out := make([]Finding, 0, len(r.Findings))
	for _, f := range r.Findings {
		out = append(out, Finding{
			Code: f.Code, Chain: dot.Chain{Device: f.Device, Incarnation: f.Incarnation, Lane: f.Lane},
			Seqs: f.Seqs, What: f.What, Which: f.Which, Do: f.Do,
		})
	}
	return out
}

// lasting reports whether a finding is still true after the program ended.
// Damaged rows were worked out anew, and receipts come again.
func (f Finding) lasting() bool {
	switch f.Code {
	case CodeEntriesLost, CodeEntryDamaged, CodeChainBroken, CodeFileDamaged, CodeFileExtra, CodeEndUnknown:
		return true
	case CodeRowDamaged, CodeHeadMismatch, CodeReceiptAhead, CodeNotRehomed, CodeUnknownChain, CodeReceiptBroken, CodeBaseDamaged, CodeArchiveBroken:
	}
	return false
}

// ofEntries reports whether a check of all entries finds it again while it is true.
func (f Finding) ofEntries() bool {
	return f.Code == CodeEntriesLost || f.Code == CodeEntryDamaged || f.Code == CodeChainBroken
}

// keepFindings writes them down, when they changed.
func (s *Store) keepFindings(ctx context.Context) error {
	s.mu.Lock()
	if !s.unkept || s.o.ReadOnly || s.fatal != nil || s.db == nil {
		s.mu.Unlock()
		return nil
	}
	s.unkept = false
	row := findingsRow{Findings: []findingRow{}}
	room := maxKeptRanges
	for _, f := range s.findings {
		if !f.lasting() || len(row.Findings) == maxKept {
			continue
		}
		n := min(room, len(f.Seqs))
		room -= n
		row.Findings = append(row.Findings, findingRow{
			f.Code, f.Chain.Device, f.Chain.Incarnation, f.Chain.Lane, slices.Clone(f.Seqs[:n]), clip(f.What), clip(f.Which), clip(f.Do),
		})
	}
	s.mu.Unlock()
	err := s.send(ctx, &request{findings: &row})
	if err != nil {
		s.mu.Lock()
		s.unkept = true
		s.mu.Unlock()
		return fmt.Errorf("keep the findings: %w", err)
	}
	return nil
}

func clip(text string) string {
	if len(text) <= maxKeptText {
		return text
	}
	return strings.ToValidUTF8(text[:maxKeptText], "") + "…"
}

// recall takes up what earlier openings found.
func (s *Store) recall() {
	unkept := s.unkept // nobody else has the store yet
	for _, f := range s.kept {
		st := s.chains[f.Chain]
		if f.Code == CodeEndUnknown {
			if st == nil {
				unkept = true
				continue
			}
			// Of a life that is over nothing is saved any more; that something may be
			// missing there is true until the doctor has looked.
			st.endUnknown = true
		}
		s.note(f)
	}
	s.kept, s.unkept = nil, unkept
}

// replaceFindings puts what a check of everything found in place of what was
// known of entries before.
func (s *Store) replaceFindings(found []Finding) {
	s.mu.Lock()
	before := len(s.findings)
	s.findings = slices.DeleteFunc(s.findings, func(f Finding) bool {
		return f.ofEntries() && !slices.ContainsFunc(found, func(o Finding) bool { return o.Code == f.Code && o.Which == f.Which })
	})
	s.unkept = s.unkept || len(s.findings) != before
	lost := make(map[dot.Chain]lane.Set)
	for _, f := range found {
		for _, r := range f.Seqs {
			lost[f.Chain] = lost[f.Chain].Add(r)
		}
	}
	for c, st := range s.chains {
		st.Lost = lost[c]
	}
	s.mu.Unlock()
	s.note(found...)
}

// healed takes entries that came back out of what is lost and of the findings.
func (s *Store) healed(c dot.Chain, run lane.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unkept = true
	if st := s.chains[c]; st != nil {
		st.Lost = st.Lost.Without(run)
	}
	left := s.findings[:0:0]
	for _, f := range s.findings {
		if f.Chain == c && f.ofEntries() {
			rest := lane.NewSet(f.Seqs...).Without(run)
			if len(rest) == 0 {
				continue
			}
			f.Seqs, f.Which = rest, c.String()+" "+rest.String()
		}
		left = append(left, f)
	}
	s.findings = left
}

// EndUnknown reports whether damage left a lane of the current life without a
// proof of where it ended: nothing is saved there until another life begins.
func (s *Store) EndUnknown() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for c, st := range s.chains {
		if c.Incarnation == s.current && st.endUnknown {
			return true
		}
	}
	return false
}

// Dismiss forgets findings about files, once nothing that they held is missing:
// they stay set apart, and are no damage any more. It returns what it forgot.
func (s *Store) Dismiss(ctx context.Context) ([]Finding, error) {
	s.mu.Lock()
	over := func(f Finding) bool { return f.Code == CodeEndUnknown && f.Chain.Incarnation != s.current }
	whole := !slices.ContainsFunc(s.findings, func(f Finding) bool {
		return f.ofEntries() || f.Code == CodeEndUnknown && !over(f)
	})
	var gone []Finding
	if whole {
		s.findings = slices.DeleteFunc(s.findings, func(f Finding) bool {
			files := f.Code == CodeFileDamaged || f.Code == CodeFileExtra || f.Code == CodeRowDamaged || over(f)
			if files {
				gone = append(gone, f)
			}
			return files
		})
		s.unkept = s.unkept || len(gone) > 0
	}
	s.mu.Unlock()
	return gone, s.keepFindings(ctx)
}
