package sqlite_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3/driver"

	"otor/hub/store"
	"otor/hub/store/tables"
)

// TestPlans: a listing of what was set aside must not read the whole ledger.
func TestPlans(t *testing.T) {
	db, err := driver.Open(filled(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // only read from
	for _, query := range tables.Searches() {
		if got := plan(t, db, query); !strings.Contains(got, "USING PRIMARY KEY") || strings.Contains(got, "SCAN found") || strings.Contains(got, "SCAN e") || strings.Contains(got, "TEMP B-TREE") || strings.Contains(got, "MATERIALIZE") {
			t.Errorf("%s\nis not a search in order:\n%s", query, got)
		}
	}
	for i, query := range tables.ItemTexts() {
		got, index := plan(t, db, query), []string{"item_entries", "items_entity", "items_kind", "items_kind", "items_kind"}[i]
		if !strings.Contains(got, index) && !strings.Contains(got, "PRIMARY KEY") || strings.Contains(got, "SCAN items") || i > 1 && strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%s\nwithout %s:\n%s", query, index, got)
		}
	}
	for q, index := range map[store.FactQuery]string{
		{Newest: true}: "INTEGER PRIMARY KEY", {Newest: true, Kind: "a"}: "facts_kind", {Newest: true, By: "a"}: "facts_by", {Subject: "a"}: "facts_subject", {Newest: true, Kind: "a", By: "a"}: "facts_",
	} {
		if got := plan(t, db, tables.FactsText(q)); !strings.Contains(got, index) || strings.Contains(got, "SCAN") || strings.Contains(got, "TEMP B-TREE") {
			t.Errorf("%+v\nwithout %s:\n%s", q, index, got)
		}
	}
	for query, index := range map[string]string{
		"SELECT e.public FROM entries e JOIN chains c ON c.id = e.chain WHERE e.number > 5 AND e.number <= 9 AND e.verdict = 7 AND e.verdict <> 1 ORDER BY e.number LIMIT 9": "entries_verdict",
		"SELECT hash FROM entries WHERE chain = 1 AND seq BETWEEN 3 AND 9":                                                                                                   "entries_dot",
		"SELECT first FROM gaps WHERE chain = 1 AND closed_at = 0 ORDER BY first":                                                                                            "gaps_open",
		"UPDATE findings SET value = 1 WHERE device = 'D' AND code = 'c' AND closed_at = 0":                                                                                  "findings_open",
		"SELECT id FROM unattributed WHERE digest = x'00' AND via = 'D'":                                                                                                     "sqlite_autoindex_unattributed_1",
		"UPDATE codes SET replaced_at = 1 WHERE device = 'D' AND used_at = 0 AND replaced_at = 0":                                                                            "codes_open",
	} {
		plan := plan(t, db, query)
		if !strings.Contains(plan, index) || strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\nwithout %s:\n%s", query, index, plan)
		}
	}
}

// plan is how the database means to answer.
func plan(t *testing.T, db *sql.DB, query string) (out string) {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = 1
	}
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // Err says it
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		out += detail + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
