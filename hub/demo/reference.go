package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"otor/internal/pack"
)

// section says how a list of the scenario file becomes entities.
type section struct {
	list   string            // the file's key
	typ    string            // the entity type
	id     string            // paths of the id's parts, joined by dots
	fields map[string]string // field to path in a row
	lists  map[string]string // field that is a list of one to the path of its element
	at     string            // path of the moment at which the office has it; "": since before the day
	whole  bool              // the office has all rows at the last row's moment
	// account marks lists that tell the day's outcome as well: a row of which a
	// record of the day tells is that record's to bring.
	account bool
}

func fieldsOf(same string, others ...string) map[string]string {
	out := map[string]string{}
	for f := range strings.FieldsSeq(same) {
		out[f] = f
	}
	for _, o := range others {
		field, path, _ := strings.Cut(o, "=")
		out[field] = path
	}
	return out
}

// sections are the lists that are reference data. Incidents, hazards, mediations
// and dispatches are none: the file tells there what became of the day.
var sections = []section{
	{list: "admin_areas", typ: "admin_area", id: "code", fields: fieldsOf("level parent", "name_zh=zh", "name_en=en")},
	{list: "routes", typ: "route", id: "id", fields: fieldsOf("gacha length_km", "name_zh=zh", "name_en=en")},
	{list: "waypoints", typ: "waypoint", id: "id", fields: fieldsOf("route seq kind lon lat signal", "name_zh=zh", "name_en=en", "km=km_from_start")},
	{list: "camel_hump_groups", typ: "hump_group", id: "id", fields: fieldsOf("waypoint leader", "name_zh=zh")},
	{list: "sheep_unit_tables", typ: "coefficient_table", id: "id", fields: fieldsOf("active unit source status")},
	{list: "coefficients", typ: "coefficient", id: "table species age", fields: fieldsOf("table species age su")},
	{list: "central_households", typ: "central_household", id: "household", fields: fieldsOf("household responsible_for red_post_sign")},
	{list: "households", typ: "household", id: "id", fields: fieldsOf("gacha grid head phone ger_count hump_group central_household camp_waypoint service_team needs")},
	{list: "persons", typ: "person", id: "id", fields: fieldsOf("household relation name_zh name_latin sex birth resident_id party_member pref_lang reads")},
	{list: "plots", typ: "plot", id: "id", fields: fieldsOf("household regime area_mu mu_per_sheep_unit cert_no", "lon=centroid.0", "lat=centroid.1")},
	{list: "herds", typ: "herd", id: "household species age", fields: fieldsOf("household species age count method counted_at", "ear_tag_from=ear_tag_range.0", "ear_tag_to=ear_tag_range.1")},
	{list: "pensions", typ: "pension", id: "person", fields: fieldsOf("person scheme"), lists: map[string]string{"checks": "last_auth"}},
	{list: "staff", typ: "staff", id: "id", fields: fieldsOf("name_zh role team")},
	{list: "teams", typ: "team", id: "id", fields: fieldsOf("duties", "name_zh=zh", "name_en=en")},
	{list: "stations", typ: "station", id: "id", fields: fieldsOf("waypoint keeper device", "name_zh=zh")},
	{list: "stock_items", typ: "stock_item", id: "id", fields: fieldsOf("unit category needs_vet", "name_zh=zh", "name_en=en")},
	{list: "stock_levels_open", typ: "stock", id: "station item", fields: fieldsOf("station item qty min batch expiry")},
	{list: "service_items", typ: "service_item", id: "id", fields: fieldsOf("online door_visit", "with_help=helper", "name_zh=zh", "name_en=en")},
	{list: "alerts", typ: "alert", id: "id", at: "cap.sent", fields: fieldsOf("colour", "status=cap.status", "msg_type=cap.msgType", "sent=cap.sent",
		"expires=cap.info.expires", "event=cap.info.event", "urgency=cap.info.urgency", "severity=cap.info.severity", "certainty=cap.info.certainty",
		"headline=cap.info.headline", "response=cap.info.responseType", "area=cap.info.area.areaDesc", "circle=cap.info.area.circle", "references=cap.references")},
	{list: "bulletins", typ: "bulletin", id: "id", at: "published", fields: fieldsOf("kind alert published must_ack audience relay", "title_zh=zh")},
	{list: "bulletin_receipts", typ: "receipt", id: "bulletin household", at: "at", whole: true, fields: fieldsOf("bulletin household mode at by")},
	{list: "floating_members", typ: "floating_member", id: "id", fields: fieldsOf("name_zh origin_branch direction destination destination_branch status last_contact",
		"branch_table=levels.branch_table", "committee_register=levels.committee_register", "banner_library=levels.banner_library")},
	{list: "suggestions", typ: "suggestion", id: "id", account: true, fields: fieldsOf("text_zh category status")},
	{list: "one_person_files", typ: "one_person_file", id: "id", fields: fieldsOf("person plan_zh visit_every_days contact_levels next_visit")},
	{list: "errands", typ: "errand", id: "id", account: true, fields: fieldsOf("file what_zh status due")},
	{list: "nominations", typ: "nomination", id: "id", fields: fieldsOf("ballots_issued ballots_cast blank_or_void", "title_zh=title_zh", "criteria=criteria_zh")},
	{list: "candidates", typ: "nomination_candidate", id: "nomination household", fields: fieldsOf("nomination household by votes")},
	{list: "temporary_branches", typ: "temporary_branch", id: "id", fields: fieldsOf("project opened closes_with_project members checks", "name_zh=zh")},
	{list: "health_events", typ: "health_event", id: "id", fields: fieldsOf("issued used date", "name_zh=zh")},
}

// Reference is what the office knows from a moment on.
type Reference struct {
	At       time.Time // the day's start for what it knew before
	Entities []pack.Fixture
}

// References reads the scenario's reference data for a pack, by moment. A row
// that the pack would not take is an error that names it.
func (s *Scenario) References(p *pack.Pack) ([]Reference, error) {
	if len(s.Rest) == 0 {
		return nil, nil
	}
	lists, err := s.rows()
	if err != nil {
		return nil, err
	}
	told := map[string]bool{}
	for _, r := range s.Records {
		told[r.Entity] = true
	}
	by := map[time.Time][]pack.Fixture{}
	for _, sec := range sections {
		if err := sec.read(p, lists[sec.list], s.Meta.T0, told, by); err != nil {
			return nil, err
		}
	}
	var out []Reference
	for at, es := range by {
		out = append(out, Reference{at, es})
	}
	slices.SortFunc(out, func(a, b Reference) int { return a.At.Compare(b.At) })
	return out, nil
}

// rows reads the file's lists, and the lists within their rows as lists of their own.
func (s *Scenario) rows() (map[string][]map[string]any, error) {
	out := map[string][]map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Rest)) {
		if !slices.ContainsFunc(sections, func(x section) bool { return x.list == name }) {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(s.Rest[name]))
		d.UseNumber()
		var rows []map[string]any
		if err := d.Decode(&rows); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrScenario, name, err)
		}
		out[name] = rows
	}
	inner := func(row map[string]any, key, as string, into string) {
		list, _ := row[key].([]any)
		for _, x := range list {
			if m, ok := x.(map[string]any); ok {
				m[as] = row["id"]
				out[into] = append(out[into], m)
			}
		}
	}
	for _, r := range out["routes"] {
		inner(r, "waypoints", "route", "waypoints")
	}
	for _, r := range out["nominations"] {
		inner(r, "candidates", "nomination", "candidates")
	}
	for _, t := range out["sheep_unit_tables"] {
		rows, err := coefficients(t)
		if err != nil {
			return nil, err
		}
		out["coefficients"] = append(out["coefficients"], rows...)
	}
	return out, nil
}

// coefficients are the rows of one table: adults as they stand, the young by their factor.
func coefficients(table map[string]any) ([]map[string]any, error) {
	adult, _ := table["coef_adult"].(map[string]any)
	factor, err := asFloat(table["young_factor"])
	if err != nil {
		return nil, fmt.Errorf("%w: sheep_unit_tables: young_factor: %w", ErrScenario, err)
	}
	var out []map[string]any
	for _, species := range slices.Sorted(maps.Keys(adult)) {
		su, err := asFloat(adult[species])
		if err != nil {
			return nil, fmt.Errorf("%w: sheep_unit_tables: %s: %w", ErrScenario, species, err)
		}
		out = append(out, map[string]any{"table": table["id"], "species": species, "age": "adult", "su": su},
			map[string]any{"table": table["id"], "species": species, "age": "young", "su": su * factor})
	}
	return out, nil
}

func asFloat(v any) (float64, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("expected a number, got %v", v)
	}
	return n.Float64()
}

// read turns rows into entities and files them by their moments.
func (sec *section) read(p *pack.Pack, rows []map[string]any, start time.Time, told map[string]bool, by map[time.Time][]pack.Fixture) error {
	var last time.Time
	var late []pack.Fixture
	for _, row := range rows {
		x, err := sec.entity(p, row)
		if err != nil {
			return err
		}
		if sec.account && told[x.ID] {
			continue
		}
		at := start
		if text, _ := path(row, sec.at).(string); text != "" {
			if at, err = time.Parse(time.RFC3339, text); err != nil {
				return fmt.Errorf("%w: %s %s: %w", ErrScenario, sec.list, x.ID, err)
			}
		}
		if at.Before(start) {
			at = start
		}
		if last = slices.MaxFunc([]time.Time{last, at}, time.Time.Compare); sec.whole {
			late = append(late, x)
			continue
		}
		by[at] = append(by[at], x)
	}
	if len(late) > 0 {
		by[last] = append(by[last], late...)
	}
	return nil
}

func (sec *section) entity(p *pack.Pack, row map[string]any) (pack.Fixture, error) {
	var parts []string
	for f := range strings.FieldsSeq(sec.id) {
		s, _ := path(row, f).(string)
		parts = append(parts, s)
	}
	x := pack.Fixture{Type: sec.typ, ID: strings.Join(parts, "."), Fields: map[string]any{}}
	for field, from := range sec.fields {
		if v := path(row, from); v != nil {
			x.Fields[field] = v
		}
	}
	for field, from := range sec.lists {
		if v := path(row, from); v != nil {
			x.Fields[field] = []any{v}
		}
	}
	if err := p.CheckFixture(&x); err != nil {
		return x, fmt.Errorf("%w: %s: %w", ErrScenario, sec.list, err)
	}
	return x, nil
}

// path reads "a.b.0" of a row. nil: it is not there.
func path(v any, way string) any {
	if way == "" {
		return nil
	}
	for step := range strings.SplitSeq(way, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}
