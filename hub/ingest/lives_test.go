package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/lane"
)

// rehome gives the entries of h from a seq on new dots at the end of to.
func (h *history) rehome(to *history, from dot.Seq) {
	for i := from; i <= h.last(); i++ {
		old := h.raws[i-1]
		pub, err := entry.DecodePublic(old.Public)
		if err != nil {
			panic(err)
		}
		now := to.chain.At(to.last() + 1)
		var origin *entry.Origin
		if now.Seq == 1 {
			origin = &entry.Origin{Reason: entry.Diverged, Previous: h.chain.Incarnation, LastSeq: from - 1, LastHead: h.heads[from-1]}
		}
		b, err := pub.Rehome(now, origin, old.Hash(), func(dot.Dot) (entry.Place, bool) { return entry.Place{}, false }).Encode()
		if err != nil {
			panic(err)
		}
		to.add(entry.Raw{Public: b, Private: old.Private, PrivateHash: old.PrivateHash})
	}
}

func (s *script) rehome(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	branch, into, from := "main", "", 0
	d.MaybeScanArgs(t, "branch", &branch)
	d.ScanArgs(t, "into", &into)
	d.ScanArgs(t, "from", &from)
	s.history(chainOf(t, d.CmdArgs[0].Key), branch).rehome(s.history(chainOf(t, into), "main"), dot.Seq(from))
	return ""
}

func (s *script) sealed(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var r lane.Range
	if n, _ := fmt.Sscanf(d.CmdArgs[1].Key, "%d-%d", &r.First, &r.Last); n == 1 {
		r.Last = r.First
	}
	var l store.Lane
	err := s.Store.Ingest(t.Context(), func(tx store.Tx) (err error) {
		l, err = s.Seal(tx, chainOf(t, d.CmdArgs[0].Key), r, s.now.UnixMilli())
		return err
	})
	check(t, err)
	if s.released(t, l.Chain, nil) != nil {
		l, err = laneOf(t.Context(), s.Store, l.Chain)
		check(t, err)
	}
	return fmt.Sprintf("received %s, sealed %s, applied to %d\n", l.Received, l.Sealed, max(l.Joined, l.Received.Through()))
}

func (s *script) aside(t *testing.T, d dot.Device) string {
	t.Helper()
	all, err := s.Forks(t.Context())
	check(t, err)
	var b strings.Builder
	for _, f := range all {
		if f.Dot.Device != d {
			continue
		}
		fmt.Fprintf(&b, "%s %s", f.Dot, f.Code)
		if f.ResolvedAt != 0 {
			fmt.Fprintf(&b, ", is now %s", f.Now)
		}
		b.WriteString("\n")
	}
	n, err := s.OpenForks(t.Context(), d)
	check(t, err)
	fmt.Fprintf(&b, "%d open\n", n)
	fs, err := s.Findings(t.Context(), false)
	check(t, err)
	for _, f := range fs {
		fmt.Fprintf(&b, "finding %s\n", f.Code)
	}
	return b.String()
}
