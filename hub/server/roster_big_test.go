package server_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/internal/sheet"
)

// A list of 200,000 rows is imported and compared within bounds of memory; the next one,
// which is nearly the same, adds next to nothing to the ledger. With -short it is a
// tenth of that.
func TestALongRoster(t *testing.T) {
	rows := 200_000
	if testing.Short() {
		rows = 20_000
	}
	root := t.TempDir()
	s := rosterHub(t, filepath.Join(root, "hub"), filepath.Join(root, "journal"))
	defer func() { check(t, s.Close()) }()
	list := func(change int) []byte {
		var b bytes.Buffer
		write := func(w io.Writer, t sheet.Table) error { return sheet.WriteXLSX(w, t) }
		if change >= 0 {
			write = sheet.WriteCSV
		}
		check(t, write(&b, sheet.Table{Columns: []sheet.Column{{Title: "姓名"}, {Title: "身份证号"}, {Title: "联系电话"}}, Rows: func(yield func([]any) bool) {
			for i := range rows {
				if i == change {
					continue
				}
				if !yield([]any{fmt.Sprintf("某人%d", i%977), numbered(fmt.Sprintf("19%02d-%02d-%02d", 30+i%30, 1+i/30%12, 1+i/360%28), i/10080), fmt.Sprintf("154%08d", i/3)}) {
					return
				}
			}
		}}))
		return b.Bytes()
	}
	var peak uint64
	var stages []string
	watch := func(stage string, _ int) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse)
		if len(stages) == 0 || stages[len(stages)-1] != stage {
			stages = append(stages, stage)
		}
	}
	for n, body := range [][]byte{list(-1), list(7)} {
		began := time.Now()
		out, err := s.Office().ImportRoster(t.Context(), server.RosterUpload{Kind: "pension_list", File: "long.xlsx", Body: body, Progress: watch})
		check(t, err)
		t.Logf("import %d of %d rows, %d MB: %v, at most %d MB of heap, %d pieces", n+1, out.Rows, len(body)>>20, time.Since(began).Round(time.Millisecond), peak>>20, len(factsOf(t, s, "roster_piece")))
		if n == 0 && (out.Added != rows || out.Standings[reconcile.Missing] == 0) || n == 1 && (out.Gone != 1 || out.Added+out.Changed != 0) {
			t.Errorf("import %d: %+v", n+1, out.RosterCounts)
		}
	}
	if got := len(factsOf(t, s, "roster_piece")); len(stages) < 4 || got > rows/400 {
		t.Errorf("stages %v, %d pieces", stages, got)
	}
	const most = 600 << 20
	if peak > most {
		t.Errorf("%d MB of heap", peak>>20)
	}
}
