package pack_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"otor/internal/dot"
	"otor/internal/form"
	"otor/internal/pack"
)

// base is a small pack without a fault.
var base = map[string]string{
	"pack.toml": `id = "demo"
version = 3
title = { zh = "演示", en = "Demo" }
languages = ["zh", "en"]
approved_by = "the sumu office"

[[scopes]]
id = "team"
label = { zh = "队", en = "Team" }
`,
	"entities.toml": `[household]
label = { zh = "牧户", en = "Household" }
`,
	"forms/count/settings.csv": "form_id,form_title,version,default_language,otor:title::English (en),otor:lane,otor:entity\n" +
		"count,清点,2,中文 (zh),Count,record,household\n",
	"forms/count/choices.csv": "list_name,name,label::中文 (zh),label::English (en),region\n" +
		"species,goat,山羊,Goat,north\n" +
		"species,camel,骆驼,Camel,\n",
	"forms/count/survey.csv": survey(
		"select_one species,species,畜种,Species,yes,,",
		"begin_repeat,rows,行,Rows,,,",
		"integer,count,数量,Count,yes,. >= 0,head",
		"end_repeat,rows,,,,,",
		"",
		"\"text\",note,\"说明,\n两行\",Note,,,",
	),
}

func survey(rows ...string) string {
	return "type,name,label::中文 (zh),label::English (en),required,constraint,otor:unit\n" + strings.Join(rows, "\n") + "\n"
}

// load reads base with some files replaced; "" removes a file.
func load(changes map[string]string) (*pack.Pack, error) {
	files := maps.Clone(base)
	maps.Copy(files, changes)
	dir := fstest.MapFS{}
	for name, text := range files {
		if text != "" {
			dir[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return pack.Load(dir)
}

func TestLoad(t *testing.T) {
	p, err := load(map[string]string{"pack.toml": "\ufeff" + base["pack.toml"]}) // with a byte order mark
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "demo" || p.Version != 3 || p.Scopes[0].Label["zh"] != "队" {
		t.Errorf("pack %+v", p)
	}
	f, err := p.Forms.Form("count", 2)
	if err != nil {
		t.Fatal(err)
	}
	if f.Lane != dot.Record || f.Entity != "household" || f.Title["zh"] != "清点" || f.Title["en"] != "Count" {
		t.Errorf("form %+v", f)
	}
	if len(f.Fields) != 3 || f.Fields[1].Kind != form.Repeat || f.Fields[2].Label["zh"] != "说明,\n两行" {
		t.Errorf("fields %+v", f.Fields)
	}
	count := f.Fields[1].Fields[0]
	if count.Unit != "head" || count.Constraint != ". >= 0" || !count.Required {
		t.Errorf("count %+v", count)
	}
	if c := f.Fields[0].Choices[0]; c.Name != "goat" || c.Attributes["region"] != "north" {
		t.Errorf("choice %+v", c)
	}
}

func TestLoadRefuses(t *testing.T) {
	const s, c, g = "forms/count/survey.csv", "forms/count/choices.csv", "forms/count/settings.csv"
	const use = "select_one species,species,畜种,Species,yes,,"
	toml := func(old, new string) string { return strings.Replace(base["pack.toml"], old, new, 1) }
	settings := func(old, new string) string { return strings.Replace(base[g], old, new, 1) }
	wide := func(header, row string) string {
		return "type,name,label::中文 (zh),label::English (en)," + header + "\nselect_one species,species,畜种,Species,\n" + row + "\n"
	}
	for _, tc := range []struct{ file, text, want string }{
		{"pack.toml", "", "pack.toml: is missing"},
		{"pack.toml", "id = [", "pack.toml:1: not valid TOML"},
		{"pack.toml", toml(`id = "demo"`, `id = "Demo!"`), `pack.toml:1: id "Demo!": write`},
		{"pack.toml", toml("version = 3", "version = 0"), "pack.toml:2: version 0: write a whole number from 1"},
		{"pack.toml", toml("version = 3", `version = "3a"`), "pack.toml:2: not valid TOML"},
		{"pack.toml", toml("version = 3", "versoin = 3"), `pack.toml:2: unknown key "versoin"`},
		{"pack.toml", toml(`["zh", "en"]`, `["zh", "en", "zh"]`), "pack.toml:4: language zh stands twice"},
		{"pack.toml", toml(`["zh", "en"]`, `["zh", "en", "Chinese"]`), `pack.toml:4: language "Chinese": write a code`},
		{"pack.toml", toml(`, en = "Demo"`, ``), "pack.toml:3: title has no words in en"},
		{"pack.toml", toml(`en = "Demo"`, `en = "Demo", mn = "x"`), `pack.toml:3: title has words in "mn"`},
		{"pack.toml", toml("the sumu office", ""), "pack.toml:5: approved_by is empty"},
		{"pack.toml", toml(`id = "team"`, `id = "Team A"`), `pack.toml:7: scope id "Team A"`},
		{"pack.toml", base["pack.toml"] + "[[scopes]]\nid = \"team\"\nlabel = { zh = \"a\", en = \"b\" }\n", "pack.toml:10: scope team stands twice"},
		{"entities.toml", "", "entities.toml: is missing"},
		{"entities.toml", "[Household]\nlabel = { zh = \"a\", en = \"b\" }\n", `entities.toml:1: entity type "Household"`},
		{g, "", g + ": is missing"},
		{g, settings("count,清点", "counts,清点"), g + ":2: form_id counts stands in the folder count"},
		{g, settings(",2,", ",v2,"), g + `:2: version "v2": write a whole number from 1`},
		{g, settings(",2,", ",0,"), g + `:2: version "0": write a whole number from 1`},
		{g, settings(",record,", ",fast,"), g + `:2: otor:lane "fast": write alert or record`},
		{g, settings(",household", ",hosehold"), g + `:2: unknown entity type "hosehold": declare it`},
		{g, settings("中文 (zh)", "Deutsch (de)"), g + `:2: default_language "Deutsch (de)": write one of`},
		{g, settings(",Count,", ",,"), g + ":2: the form's title has no words in en"},
		{g, base[g] + "count,清点,3,中文 (zh),Count,record,household\n", g + ":3: 2 rows under the header"},
		{g, settings(",otor:entity", ",entity"), g + ":1: unknown column \"entity\""},
		{g, settings(",otor:entity", ""), g + ":1: column otor:entity is missing"},
		{c, "", s + `:2: list "species" is not in choices.csv`},
		{c, base[c] + "species,goat,山羊,Goat\n", c + ":4: choice goat of list species stands on line 2 already"},
		{c, base[c] + "species,two words,a,b\n", c + `:4: choice name "two words"`},
		{c, base[c] + "species,yak,,Yak\n", c + ":4: choice yak has no words in zh"},
		{c, base[c] + "other,x,甲,X\n", c + ":4: list other is used by no question"},
		{c, base[c] + "species,yak,牦牛,Yak,north,more\n", c + `:4: "more" stands outside the headed columns`},
		{c, strings.Replace(base[c], "label::English (en)", "label", 1), c + `:1: column "label": say the language`},
		{s, "", s + ": is missing"},
		{s, survey(use, "text,x,\"甲,X,,,"), s + ":3: not valid CSV"},
		{s, survey(use, "text,x,甲,X,,,", "text,x,乙,Y,,,"), s + ":4: name x stands on line 3 already"},
		{s, survey(use, "text,X-1,甲,X,,,"), s + `:3: name "X-1": write`},
		{s, survey(use, "int,x,甲,X,,,"), s + `:3: unknown type "int": write integer`},
		{s, survey(use, "blob,x,甲,X,,,"), s + `:3: unknown type "blob": write one of text,`},
		{s, survey(use, "start,x,,,,,"), s + ":3: type start: every entry keeps this by itself"},
		{s, survey(use, ",x,甲,X,,,"), s + ":3: no type: write one of"},
		{s, survey(use, "select_one,x,甲,X,,,"), s + ":3: select_one names no list"},
		{s, survey(use, "select_one breeds,x,甲,X,,,"), s + `:3: list "breeds" is not in choices.csv: add it there, or write one of species`},
		{s, survey(use, "select_one species or_other,x,甲,X,,,"), s + `:3: select_one species: remove "or_other"`},
		{s, survey(use, "text long,x,甲,X,,,"), s + `:3: type text takes no further word`},
		{s, survey(use, "text,x,甲,,,,"), s + ":3: question x has no words in en"},
		{s, survey(use, "begin_group,g,甲,G,,,", "text,x,甲,X,,,"), s + ":3: begin_group g is never ended: add a row of type end_group"},
		{s, survey(use, "text,x,甲,X,,,", "end_group,,,,,,"), s + ":4: end_group ends nothing"},
		{s, survey(use, "begin_group,g,甲,G,,,", "text,x,甲,X,,,", "end_repeat,,,,,,"), s + ":5: end_repeat crosses begin_group g of line 3"},
		{
			s, survey(use, "begin_repeat,a,甲,A,,,", "begin_group,b,乙,B,,,", "text,x,甲,X,,,", "end_group,a,,,,,", "end_repeat,,,,,,"),
			s + ":6: end_group a ends b of line 4",
		},
		{s, survey(use, "begin_group,g,甲,G,,,", "end_group,,,,,,"), s + ":3: begin_group g holds no questions"},
		{s, survey(use, strings.TrimSuffix(strings.Repeat("begin_group,g,甲,G,,,\n", 8)+"text,x,甲,X,,,\n"+
			strings.Repeat("end_group,,,,,,\n", 8), "\n")), s + ":10: groups nest more than 8 deep"},
		{s, survey(use, "text,x,甲,X,,. = ${y},"), s + ":3: constraint names the question ${y}, which the form does not have"},
		{s, survey(use, "note,x,甲,X,yes,,"), s + ":3: note x cannot be required"},
		{s, survey(use, "text,x,甲,X,,,kg"), s + ":3: otor:unit is for numbers"},
		{s, survey(use, "calculate,x,,,,,"), s + ":3: calculate x has no calculation"},
		{s, survey(), s + ": has no questions"},
		{s, strings.Replace(base[s], "required", "requird", 1), s + `:1: unknown column "requird": write one of`},
		{s, strings.Replace(base[s], "constraint", "required", 1), s + `:1: column "required" stands twice`},
		{s, strings.Replace(base[s], "label::English (en)", "label::Deutsch (de)", 1), s + `:1: column "label::Deutsch (de)": its language`},
		{s, strings.Replace(base[s], "required", "required::English (en)", 1), s + `:1: column "required::English (en)": only`},
		{s, wide("otor:check", "text,x,甲,X,id"), s + `:3: otor:check "id": write resident_id or phone`},
		{s, wide("otor:check", "integer,x,甲,X,phone"), s + ":3: otor:check is for text"},
		{s, wide("otor:value", "select_one species,x,甲,X,integer"), s + `:3: otor:value integer: choice "goat" of list species`},
		{s, wide("otor:value", "select_one species,x,甲,X,real"), s + `:3: otor:value "real": write integer or boolean`},
		{s, wide("otor:open", "text,x,甲,X,yes"), s + ":3: otor:open is for select_one"},
		{s, wide("otor:list", "text,x,甲,X,maybe"), s + `:3: otor:list "maybe": write yes`},
		{s, wide("otor:list", "note,x,甲,X,yes"), s + ":3: otor:list is for text"},
		{s, wide("otor:entity", "text,x,甲,X,yurt"), s + `:3: unknown entity type "yurt"`},
		{s, wide("required,otor:required_unless", "text,x,甲,X,yes,y"), s + ":3: otor:required_unless y: there is no such question"},
		{s, wide("required,otor:required_unless", "text,x,甲,X,,species"), s + ":3: otor:required_unless stands on a question that is not required"},
		{s, "\xff\xfe", s + ": is not UTF-8 text"},
		{s, strings.Repeat("x", 5<<20), s + ": is larger than 4 MiB"},
		{"forms/count/notes.csv", "x", "forms/count/notes.csv: unknown file"},
		{"forms/readme", "x", "forms/readme: is a file"},
	} {
		t.Run(tc.want, func(t *testing.T) {
			_, err := load(map[string]string{tc.file: tc.text})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got:\n%v", err)
			}
			if lines := strings.Count(err.Error(), "\n"); lines > 3 {
				t.Errorf("one fault brought %d lines:\n%v", lines+1, err)
			}
		})
	}
}

func TestLoadRefusesAnEmptyFolder(t *testing.T) {
	_, err := pack.Load(fstest.MapFS{})
	for _, want := range []string{"pack.toml: is missing", "entities.toml: is missing", "forms: is missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q too", err, want)
		}
	}
}

func TestLoadNamesEveryFaultInOrder(t *testing.T) {
	_, err := load(map[string]string{
		"pack.toml":              strings.Replace(base["pack.toml"], "version = 3", "version = -1", 1),
		"forms/count/survey.csv": survey("blob,a,,,,,", "int,B,,,,,"),
	})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %v", err)
	}
	last := ""
	for _, e := range joined.Unwrap() {
		f, ok := errors.AsType[*pack.Fault](e)
		if !ok {
			t.Fatalf("%v is no fault", e)
		}
		at := fmt.Sprintf("%s:%06d", f.File, f.Line)
		if at < last {
			t.Errorf("%s stands after %s", at, last)
		}
		last = at
	}
	if n := len(joined.Unwrap()); n < 4 {
		t.Errorf("%d faults:\n%v", n, err)
	}
}

func TestLoadBoundsItsFaults(t *testing.T) {
	_, err := load(map[string]string{"forms/count/survey.csv": survey(strings.Repeat("blob,a,,,,,\n", 500))})
	if n := strings.Count(err.Error(), "\n"); n != 100 || !strings.Contains(err.Error(), "more; correct these first") {
		t.Errorf("%d lines", n+1)
	}
}

// Whatever stands in a sheet: no panic, and every fault names a file.
func FuzzLoad(f *testing.F) {
	f.Add(base["forms/count/survey.csv"], base["forms/count/choices.csv"], base["forms/count/settings.csv"])
	f.Add("type,name\nbegin_group,a\nbegin_repeat,b\nend_group,\n", "list_name,name\na,b\n", "form_id\ncount\n")
	f.Fuzz(func(t *testing.T, survey, choices, settings string) {
		p, err := load(map[string]string{
			"forms/count/survey.csv": survey, "forms/count/choices.csv": choices, "forms/count/settings.csv": settings,
		})
		if err == nil {
			fm, ok := p.Forms.Latest("count")
			if !ok {
				t.Fatal("loaded without its form")
			}
			fm.Check(map[string]any{"x": "y"}, form.Env{})
			return
		}
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			if fault, ok := errors.AsType[*pack.Fault](e); ok && fault.File == "" {
				t.Errorf("a fault without a file: %v", e)
			}
		}
	})
}

// saved makes the base pack one whose count is written into herds.
func saved(t *testing.T, entities, sheet, rows string) error {
	t.Helper()
	_, err := load(map[string]string{
		"entities.toml": entities,
		"forms/count/survey.csv": "type,name,label::中文 (zh),label::English (en),calculation,save_to,otor:save_to,otor:saves,otor:list\n" +
			"hidden,entity,,,,,,,\nselect_one species,species,畜种,Species,,,,,\n" + rows + "\n",
		"forms/count/entities.csv": sheet,
	})
	return err
}

const herds = `[household]
label = { zh = "牧户", en = "Household" }
lives = ["team:{team}"]
[household.fields]
team = { type = "text", rule = "ask" }

[herd]
label = { zh = "畜群", en = "Herd" }
lives = ["team:{household.team}"]
groups = { counted = ["count", "method"] }
[herd.fields]
household = { type = "text", rule = "latest", ref = "household" }
count = { type = "integer", rule = "ask", unit = "head" }
method = { type = "text", rule = "ask" }
moved = { type = "integer", rule = "count" }
days = { type = "list", rule = "set" }
`

func TestSavesRefuses(t *testing.T) {
	const e, c, s = "entities.toml", "forms/count/entities.csv", "forms/count/survey.csv"
	const sheet = "list_name,entity_id,update_if,otor:edit\nherd,\"concat(${entity}, '/', ${species})\",,yes\n"
	const row = "integer,n,数,N,,count,,,"
	toml := func(old, new string) string {
		if !strings.Contains(herds, old) {
			t.Fatalf("%q is not in the base", old)
		}
		return strings.Replace(herds, old, new, 1)
	}
	for _, good := range [][3]string{
		{herds, sheet, row},
		{herds, sheet, "integer,n,数,N,,herd#count,,,"},
		{herds, sheet, "integer,n,数,N,,,count,,\ncalculate,d,,,today(),days,,,\ncalculate,m,,,-${n},moved,,,"},
	} {
		if err := saved(t, good[0], good[1], good[2]); err != nil {
			t.Errorf("%s: %v", good[2], err)
		}
	}
	for _, tc := range []struct{ entities, sheet, rows, want string }{
		{toml(`rule = "latest"`, `rule = "newest"`), sheet, row, e + `:12: field household: rule "newest": write one of latest,`},
		{toml(`type = "text", rule = "latest"`, `type = "str", rule = "latest"`), sheet, row, e + `:12: field household: type "str": write one of text,`},
		{toml(`, unit = "head"`, `, mask = "some"`), sheet, row, e + `:13: field count: mask "some": write one of all,`},
		{toml(`ref = "household"`, `ref = "yurt"`), sheet, row, e + `:12: unknown entity type "yurt"`},
		{toml(`method = { type = "text", rule = "ask" }`, `method = { type = "text", rule = "latest" }`), sheet, row, e + ":10: group counted: its fields have the rules ask and latest"},
		{toml(`["count", "method"]`, `["count", "moved"]`), sheet, row, e + ":10: group counted: its fields have the rules"},
		{toml(`["count", "method"]`, `["count", "age"]`), sheet, row, e + `:10: group counted: herd has no field "age"`},
		{toml(`["count", "method"]`, `["count"]`), sheet, row, e + ":10: group counted needs two fields"},
		{toml(`"integer", rule = "count"`, `"text", rule = "count"`), sheet, row, e + ":15: field moved: rule count adds numbers up"},
		{toml(`{household.team}`, `{household.gacha}`), sheet, row, e + `:9: lives "team:{household.gacha}": household has no field "gacha"`},
		{toml(`{household.team}`, `{count.team}`), sheet, row, e + ":9: lives \"team:{count.team}\": the field count of herd names no entity"},
		{toml(`"team:{team}"`, `"gacha:{team}"`), sheet, row, e + `:3: lives "gacha:{team}": "gacha" is no kind of scope`},
		{toml(`rule = "count" }`, `rule = "count", size = 3 }`), sheet, row, e + `:15: unknown key "herd.fields.size"`},
		{herds, strings.Replace(sheet, "\nherd", "\nflock", 1), row, c + `:2: unknown entity type "flock"`},
		{herds, sheet + "herd,,,\n", row, c + ":3: list_name herd stands twice"},
		{herds, strings.Replace(sheet, "species", "breed", 1), row, c + ":2: entity_id names the question ${breed}"},
		{herds, strings.Replace(sheet, "concat(", "join(", 1), row, c + ":2: entity_id: the function join is not worked out here"},
		{herds, sheet, "integer,n,数,N,,counts,,,", s + ":4: save_to counts: herd has no such field"},
		{herds, sheet, "integer,n,数,N,,method,,,", s + ":4: save_to method: the field has type text in entities.toml, and the question is integer"},
		{herds, sheet, "integer,n,数,N,,days,,,yes\ninteger,k,数,K,,count,,,yes", s + ":5: save_to count: the field has type integer in entities.toml, and the question is a list"},
		{herds, sheet, "integer,n,数,N,,yurt#count,,,", s + ":4: save_to yurt#count: the form does not save into it here"},
		{herds, sheet, "integer,n,数,N,,,,,", c + ":2: no question saves into herd"},
		{herds, "", row, s + ":4: save_to count: the form saves into no entity: add forms/count/entities.csv"},
		{herds, sheet, row + "\ncalculate,a,,,${b} + 1,moved,,,\ncalculate,b,,,${a},moved,,,", s + ":6: calculation of b goes round in a circle by way of a"},
		{herds, sheet, row + "\ncalculate,a,,,round(1),moved,,,", s + ":5: calculation: the function round is not worked out here"},
		{herds, sheet, row + "\nbegin_repeat,r,行,R,,,,,\ninteger,k,数,K,,moved,,,\nend_repeat,,,,,,,,", s + ":6: save_to moved: herd gets answers from inside and outside of a repeat"},
		{herds, sheet, "begin_repeat,r,行,R,,,,herd ${entity},\ninteger,k,数,K,,,moved,,\nend_repeat,,,,,,,,\ninteger,n,数,N,,count,,herd ${entity},", s + ":7: otor:saves is for a repeat"},
	} {
		err := saved(t, tc.entities, tc.sheet, tc.rows)
		if err == nil {
			t.Errorf("taken, want %s", tc.want)
			continue
		}
		found := false
		for line := range strings.Lines(err.Error()) {
			found = found || strings.HasPrefix(line, tc.want)
		}
		if !found {
			t.Errorf("want %s\ngot  %v", tc.want, err)
		}
	}
}
