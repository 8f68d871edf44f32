package server_test

import (
	"otor/hub/backup"
	"otor/hub/console"
	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/internal/dot"
)

// param is a parameter in the query.
type param struct{ name, kind, words string }

// call describes one route of the API. The document is made of these, and of the
// program's own table of who may do what.
type call struct {
	pattern, tag, words string
	query               []param
	body                any    // of the request as JSON; nil: none
	raw                 string // media type of a body that is no JSON
	answer              any    // nil: answerType alone
	answerType          string // media type; empty: application/json
	codes               []string
}

const (
	ndjson = "application/x-ndjson"
	office = "/api/v1/office/"
)

// done is the answer of acts that have nothing more to say.
type done struct{}

var (
	all   = param{"all", "boolean", "those that are closed as well"}
	after = param{"after", "integer", "go on behind this number"}
	limit = param{"limit", "integer", "at most so many; 0: no limit"}
)

// codes that acts on the ledger may be refused with.
var ledgerCodes = []string{"journal_unwritable", "pending", "disk_full", "read_only", "ledger_damaged"}

func with(codes ...string) []string { return append(codes, ledgerCodes...) }

// calls is every route of the API.
var calls = []call{
	{pattern: "GET /healthz", tag: "watching", words: "200 while the program answers at all.", answerType: "text/plain"},
	{pattern: "GET /readyz", tag: "watching", words: "200 while the database can be read and what arrives is taken in, else 503.", answerType: "text/plain"},
	{pattern: "GET /metrics", tag: "watching", words: "Metrics in Prometheus' format: to anybody on this machine, elsewhere by a token whose scopes cover everything.", answerType: "text/plain"},
	{pattern: "GET /api/v1/openapi.json", tag: "watching", words: "This document.", answerType: "application/json"},
	{pattern: "GET /api/v1/events", tag: "watching", words: "A signal whenever something changed, as server-sent events: `refresh`, and `beat` when nothing did for a while.", answerType: "text/event-stream", codes: []string{"too_many_streams"}},
	{pattern: "GET /api/v1/fleet", tag: "fleet", words: "The account of all devices that are seen.", answer: console.Fleet{}},
	{pattern: "GET " + office + "fleet", tag: "fleet", words: "The same.", answer: console.Fleet{}},
	{pattern: "GET " + office + "devices", tag: "devices", words: "Devices: invited, enrolled, revoked.", answer: []server.Enrolled{}},
	{pattern: "POST " + office + "devices", tag: "devices", words: "Invite a device: a one-time code.", body: server.Invitation{}, answer: server.Invited{}, codes: with("bad_request", "device_exists", "device_revoked")},
	{pattern: "POST " + office + "devices/{device}/revoke", tag: "devices", words: "End a device's credentials for good.", answer: done{}, codes: with("not_found")},
	{pattern: "POST " + office + "devices/{device}/scopes", tag: "devices", words: "Give scopes to a device, and take some.", body: server.Regrant{}, answer: server.Regranted{}, codes: with("bad_request", "bad_scope", "not_granted", "too_many", "not_found")},
	{pattern: "POST " + office + "devices/{device}/plan", tag: "devices", words: "Say that a device is expected to be out of reach for a time: it is then expected back, and overdue when it was not heard from since.", body: server.PlanOrder{}, answer: console.Absence{}, codes: with("bad_request", "bad_window", "plan_words", "plan_full", "plan_revoked", "unknown_device")},
	{pattern: "POST " + office + "devices/{device}/plan/clear", tag: "devices", words: "Take back all that is planned for a device.", answer: done{}, codes: with("unknown_device")},
	{pattern: "POST " + office + "devices/life", tag: "devices", words: "Let a second live copy of a device's folder have everything.", body: server.Order{}, answer: done{}, codes: with("bad_request", "not_found")},
	{pattern: "POST " + office + "confirm", tag: "devices", words: "After a restore without a journal: devices may be told things again.", body: server.Confirmation{}, answer: []dot.Device{}, codes: with("bad_request", "not_in_doubt")},
	{pattern: "GET " + office + "gaps", tag: "fleet", words: "Seqs that are missing below the highest received ones: first, last and count of each gap; missing names them one by one, at most 1,000 of a gap and 100,000 of all.", query: []param{all}, answer: []server.GapLine{}},
	{pattern: "POST " + office + "gaps/seal", tag: "reconcile", words: "Give up waiting for seqs of a lane.", body: server.Order{}, answer: done{}, codes: with("bad_request", "no_gap", "reason_missing", "not_found")},
	{pattern: "GET " + office + "findings", tag: "fleet", words: "What the hub noticed about devices.", query: []param{all}, answer: []server.FindingLine{}},
	{pattern: "GET " + office + "unattributed", tag: "fleet", words: "Frames that nobody known vouches for.", answer: []server.UnattributedLine{}},
	{
		pattern: "GET " + office + "entries", tag: "entries", words: "The ledger of entries in order of arrival, one JSON object a line.",
		query:  []param{{"device", "string", "of this device"}, {"lane", "string", "alert or record"}, {"verdict", "string", "with this verdict"}, after, limit},
		answer: server.EntryLine{}, answerType: ndjson, codes: []string{"bad_request"},
	},
	{pattern: "GET " + office + "items", tag: "reconcile", words: "What a person must look at: conflicts, duplicates, twins, reviews, flags, with the evidence.", query: []param{all}, answer: []server.ItemLine{}},
	{
		pattern: "POST " + office + "items/{id}/decide", tag: "reconcile", words: "Decide an item, if it still is what the decider had in view; or take a decision back.", body: server.Ruling{}, answer: server.ItemLine{},
		codes: with("bad_request", "not_found", "item_changed", "reason_missing", "bad_choice", "bad_value", "not_decidable", "undo_over"),
	},
	{pattern: "POST " + office + "items/{id}/take", tag: "reconcile", words: "Take an open item on, or over from somebody. Everybody sees whose it is; anybody may decide it all the same.", body: server.OwnerChange{}, answer: server.ItemLine{}, codes: with("bad_request", "not_found", "not_open", "owner_changed")},
	{pattern: "POST " + office + "items/{id}/release", tag: "reconcile", words: "Give back an item that you have taken.", body: done{}, answer: server.ItemLine{}, codes: with("bad_request", "not_found", "not_open", "not_owner")},
	{pattern: "POST " + office + "aside", tag: "reconcile", words: "Put right, return or reject an entry that was set aside, or reopen that.", body: server.AsideRuling{}, answer: server.AsideAnswer{}, codes: with("bad_request", "reason_missing", "bad_choice", "bad_value", "item_changed", "not_found")},
	{
		pattern: "POST " + office + "alike", tag: "reconcile", words: "Decide several that are there for the same reason: items that one rule opened, or entries that were set aside under one code. Each gets a row of the ledger.", body: console.Bulk{}, answer: console.BulkDone{},
		codes: with("bad_request", "bad_count", "not_alike", "bad_choice", "not_found"),
	},
	{
		pattern: "GET " + office + "records", tag: "records", words: "Find records, the newest by the hub's clock first. Numbers of persons are masked.",
		query: []param{
			{"text", "string", "parts of answers, all of them; two letters are enough"},
			{"device", "string", "of this device"},
			{"team", "string", "of the devices of this team"},
			{"form", "string", "that answer this form"},
			{"verdict", "string", "with this verdict"},
			{"entity", "string", "about this entity: an id, or type/id"},
			{"from", "string", "from this day on, such as 2025-09-18"},
			{"until", "string", "up to this day, included"},
			{"after", "string", "next of the page before"},
			{"lang", "string", "of the titles: zh, mn or en"},
			limit,
		}, answer: console.RecordList{}, codes: []string{"bad_request", "bad_day", "bad_cursor", "short_word", "hidden_number"},
	},
	{pattern: "GET " + office + "record", tag: "records", words: "One record: its answers, where it comes from, and what became of it.", query: []param{{"dot", "string", "its name, such as D-101/3/record/17"}, {"lang", "string", "zh, mn or en"}}, answer: console.Record{}, codes: []string{"not_found"}},
	{
		pattern: "GET " + office + "entities", tag: "records", words: "Find entities by a part of a name, an id, or a whole number.",
		query: []param{{"text", "string", "what to look for"}, {"type", "string", "of this type"}, {"after", "string", "next of the page before"}, {"lang", "string", "zh, mn or en"}, limit}, answer: console.ThingList{}, codes: []string{"bad_request", "bad_cursor", "short_word", "hidden_number"},
	},
	{
		pattern: "GET " + office + "entity", tag: "records", words: "Why an entity's values are what they are: those that stand, the records and decisions behind them, and its history.",
		query: []param{{"entity", "string", "type/id"}, {"before", "string", "next of the page before"}, {"lang", "string", "zh, mn or en"}}, answer: console.Thing{}, codes: []string{"not_found", "bad_cursor"},
	},
	{pattern: "POST " + office + "reveal", tag: "records", words: "Show a masked field of a record or an entity. Who looked and why is a row of the ledger.", body: console.Reveal{}, answer: console.Revealed{}, codes: with("bad_request", "not_found", "reason_missing", "not_masked", "not_allowed")},
	{pattern: "POST " + office + "statements", tag: "statements", words: "Draw and sign an account of a subject over a period.", body: reconcile.Terms{}, answer: reconcile.Signed{}, codes: with("bad_request", "bad_terms", "not_allowed", "no_device", "unknown_form")},
	{
		pattern: "POST " + office + "exports", tag: "statements", words: "Take records away as a file: a workbook, CSV, a paper, JSON or GeoJSON. Each export is a row of the ledger.", body: server.ExportOrder{}, answerType: "application/octet-stream",
		codes: with("bad_request", "bad_format", "bad_terms", "no_device", "unknown_form", "export_long", "whole_not_allowed", "whole_reason"),
	},
	{pattern: "GET " + office + "rosters", tag: "rosters", words: "The official lists, and how they stand against the hub's records.", answer: []server.RosterSummary{}},
	{
		pattern: "GET " + office + "rosters/{kind}", tag: "rosters", words: "The lines of a list, one JSON object a line.",
		query:  []param{{"standing", "string", "that stand so"}, {"open", "boolean", "those that wait for a person"}, {"after", "integer", "go on behind this line"}, {"after_key", "string", "and behind this key, for those that are not on the list"}, limit},
		answer: server.RosterLine{}, answerType: ndjson, codes: []string{"bad_request", "no_roster"},
	},
	{
		pattern: "POST " + office + "rosters/{kind}", tag: "rosters", words: "Check or import a list: CSV or XLSX as the body. The answer is one JSON object for each step, and one with the result.",
		query: []param{{"file", "string", "the file's name"}, {"sheet", "string", "of the workbook"}, {"columns", "string", "JSON: which column is which"}, {"check", "boolean", "look and import nothing"}},
		raw:   "application/octet-stream", answer: server.RosterStep{}, answerType: ndjson, codes: with("bad_request", "roster_too_large", "no_roster", "roster_not_a_list", "roster_old_format", "roster_protected", "roster_damaged", "roster_no_sheet", "roster_no_header", "roster_bad_column", "roster_few_columns", "roster_empty", "roster_too_wide", "roster_too_many_rows", "roster_cell_too_long"),
	},
	{pattern: "POST " + office + "rosters/{kind}/decide", tag: "rosters", words: "Decide about a line of a list, if it still is what the decider had in view; or take a decision back.", body: server.RosterChoice{}, answer: server.RosterLine{}, codes: with("bad_request", "not_found", "item_changed", "reason_missing", "bad_choice", "undo_over", "no_roster", "roster_fixed", "roster_value", "roster_disputed")},
	{pattern: "GET " + office + "photos", tag: "photos", words: "Photos and files that entries name; missing ones, or all.", query: []param{{"all", "boolean", "those that are here as well"}}, answer: []server.PhotoLine{}},
	{pattern: "GET " + office + "photos/{photo}", tag: "photos", words: "One of them, by its hash.", query: []param{{"preview", "boolean", "a small picture, where there is one"}}, answerType: "image/jpeg", codes: []string{"bad_photo", "no_photo"}},
	{pattern: "POST " + office + "photos/check", tag: "photos", words: "Read all photos; what is damaged is asked for again.", answer: server.PhotoCheck{}},
	{
		pattern: "GET " + office + "ledger", tag: "ledger", words: "What the hub itself authored, one JSON object a line.",
		query:  []param{{"kind", "string", "of this kind"}, {"subject", "string", "about this"}, {"by", "string", "by this operator, device or the hub"}, after, {"before", "integer", "below this number"}, limit, {"newest", "boolean", "the newest first"}, {"signed", "boolean", "with the signed form"}},
		answer: server.FactLine{}, answerType: ndjson, codes: []string{"bad_request"},
	},
	{pattern: "GET " + office + "ledger/check", tag: "ledger", words: "Check every signature and link of ledger and journal.", answer: server.LedgerCheck{}, codes: []string{"ledger_damaged"}},
	{pattern: "POST " + office + "backup", tag: "backups", words: "Make a verified backup below a folder of the hub's machine.", body: server.BackupOrder{}, answer: backup.Made{}, codes: []string{"bad_request", "backup_unverified", "backup_busy", "disk_full", "read_only", "not_writable"}},
	{pattern: "GET " + office + "packs", tag: "packs", words: "Published versions of form packs.", answer: []server.PackLine{}, codes: []string{"no_packs"}},
	{pattern: "POST " + office + "packs/check", tag: "packs", words: "What is wrong with a pack (a zip as the body).", raw: "application/zip", answer: server.PackLine{}, codes: []string{"bad_request", "bad_pack", "no_packs"}},
	{pattern: "POST " + office + "packs", tag: "packs", words: "Publish a pack (a zip as the body).", raw: "application/zip", answer: server.Published{}, codes: with("bad_request", "bad_pack", "pack_exists", "no_packs")},
	{pattern: "GET " + office + "operators", tag: "operators", words: "Who works at the hub.", answer: []server.OperatorLine{}},
	{pattern: "POST " + office + "operators", tag: "operators", words: "Let somebody in: a link that works once.", body: server.NewOperator{}, answer: server.Linked{}, codes: with("bad_request", "name_taken")},
	{pattern: "POST " + office + "operators/{name}/disable", tag: "operators", words: "Shut somebody out, at once.", answer: done{}, codes: with("not_found")},
	{pattern: "POST " + office + "operators/{name}/enable", tag: "operators", words: "Let somebody in again, by a link.", answer: server.Linked{}, codes: with("not_found")},
	{pattern: "POST " + office + "operators/{name}/reset", tag: "operators", words: "A new link: the password was forgotten, the second factor lost.", answer: server.Linked{}, codes: with("not_found")},
}

// inPath says what stands in a pattern.
var inPath = map[string]string{
	"device": "a device's name", "id": "an item's number", "photo": "64 hexadecimal digits", "name": "an operator's name", "kind": "an official list, such as pension",
}
