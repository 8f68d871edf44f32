package pack_test

import (
	"maps"
	"strings"
	"testing"

	"otor/internal/merge"
	"otor/internal/pack"
)

const someRules = `[values.window]
value = 30
unit = "d"
source = "assumed"

[values.name]
value = "x"
source = "a decree"

[[derive]]
entity = "herd"
field = "doubled"
value = "entity.count * 2.0"

[[derive]]
entity = "household"
field = "total"
value = "book.sum('herd', 'household', entity.id, 'doubled')"

[[key]]
id = "twice"
kind = "duplicate"
window = "window"
words = { zh = "重复", en = "Twice" }
[[key.of]]
form = "count"
when = "answers.species != null"
key = "entry.entity + '/' + answers.species"

[[flag]]
id = "odd"
forms = ["count"]
when = "answers.species == 'goat' && book.entity('household', entry.entity).total > 10.0"
words = { zh = "奇怪", en = "Odd" }
`

func ruled(rules string, more map[string]string) error {
	files := map[string]string{"entities.toml": herds, "rules.toml": rules}
	maps.Copy(files, more)
	_, err := load(files)
	return err
}

func TestRulesRefuses(t *testing.T) {
	const r = "rules.toml"
	change := func(old, new string) string {
		if !strings.Contains(someRules, old) {
			t.Fatalf("%q is not in the base", old)
		}
		return strings.Replace(someRules, old, new, 1)
	}
	if err := ruled(someRules, nil); err != nil {
		t.Fatal(err)
	}
	deep := "answers.a.all(x, answers.a.all(y, answers.a.all(z, x == y && y == z)))"
	for _, tc := range []struct{ rules, want string }{
		{change("source = \"assumed\"\n", ""), r + ":1: value window has no source: write where it comes from"},
		{change("value = 30", "value = [30]"), r + ":2: value window: write a number or a text"},
		{change("value = 30", "value = -1"), r + ":23: rule twice: value window is no time"},
		{change(`unit = "d"`, `unit = "fortnight"`), r + ":23: rule twice: value window is no time"},
		{change(`window = "window"`, `window = "days"`), r + `:23: rule twice: there is no value "days"`},
		{change(`kind = "duplicate"`, `kind = "triplicate"`), r + `:22: rule twice, kind: unknown kind "triplicate": write duplicate or twin`},
		{change(`form = "count"`, `form = "counts"`), r + `:25: rule twice: there is no form "counts"`},
		{change(`form = "count"`, "form = \"count\"\neach = \"species\""), r + `:25: rule twice: form count has no repeat "species"`},
		{change(`id = "odd"`, `id = "twice"`), r + ":30: rule twice stands twice: keep one"},
		{change(`, en = "Odd"`, ""), r + ":30: rule odd has no words in en"},
		{change("[[flag]]", "[[flags]]"), r + `:30: unknown key "flags"`},
		{change("entity.count * 2.0", "entity.count *"), r + ":13: herd.doubled, value: not a CEL expression that can be used here: <input>:1:15: Syntax error"},
		{change("entity.count * 2.0", "entity.cuont * 2.0"), r + `:13: herd.doubled, value: herd has no field "cuont": write one of count, days, doubled,`},
		{change("entity.count * 2.0", "answers.count"), r + ":13: herd.doubled, value: answers is not there in this rule: use entity, today"},
		{change("entity.count * 2.0", "exec('rm')"), r + ":13: herd.doubled, value: not a CEL expression that can be used here: <input>:1:5: undeclared reference to 'exec'"},
		{change("entity.count * 2.0", "book.entity('household', entity.household).total"), r + ":13: herd.doubled, value: it is worked out of itself: herd.doubled needs household.total needs herd.doubled"},
		{change("entity.count * 2.0", "entity.doubled"), r + ":13: herd.doubled, value: it is worked out of itself: herd.doubled needs herd.doubled"},
		{change(`field = "doubled"`, `field = "count"`), r + ":12: herd.count, field: herd has a field count that is written"},
		{change(`field = "total"`, "field = \"Total\""), r + `:17: derived field "Total"`},
		{change(`entity = "herd"`, `entity = "flock"`), r + `:11: flock.doubled, entity: unknown entity type "flock"`},
		{change(`sum('herd'`, `sum('flock'`), r + `:18: household.total, value: unknown entity type "flock"`},
		{change(`entity.id, 'doubled'`, `entity.id, entity.team`), r + ":18: household.total, value: book.sum(...): write the field as a quoted word"},
		{change(`answers.species != null`, deep+" && answers.species != null"), r + ":27: rule twice, when: it can take more than 100000 steps: it runs away"},
		{change(`answers.species != null`, "values.windows > 3.0"), r + `:27: rule twice, when: there is no value "windows"`},
		{change(`entry.entity + '/'`, strings.Repeat("'x' + ", 1000)+"'/'"), r + ":28: rule twice, key: the expression has"},
		{change(`book.entity('household'`, `book.entity('yurt'`), r + `:33: rule odd, when: unknown entity type "yurt"`},
	} {
		err := ruled(tc.rules, nil)
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

func TestFixturesAndWordsRefuses(t *testing.T) {
	words := func(zh string) map[string]string {
		return map[string]string{"i18n/zh.toml": zh, "i18n/en.toml": "[fields.herd]\n"}
	}
	for _, tc := range []struct {
		more map[string]string
		want string
	}{
		{map[string]string{"fixtures/herd.csv": "id,count,days\nA,3,2025-01-01 2025-02-02\n"}, ""},
		{map[string]string{"fixtures/all.ndjson": `{"type":"herd","id":"A","fields":{"count":3}}` + "\n\n"}, ""},
		{map[string]string{"fixtures/herd.csv": "id,count\nA,three\n"}, "fixtures/herd.csv:2: herd A: count must be of type integer"},
		{map[string]string{"fixtures/herd.csv": "id,size\nA,3\n"}, `fixtures/herd.csv:2: herd A: there is no field "size"`},
		{map[string]string{"fixtures/flock.csv": "id\nA\n"}, `fixtures/flock.csv:2: unknown entity type "flock"`},
		{map[string]string{"fixtures/herd.csv": "id,count\nA,3\nA,4\n"}, "fixtures/herd.csv:3: herd A stands in fixtures/herd.csv:2 already"},
		{map[string]string{"fixtures/herd.csv": "count,id\n3,A\n"}, "fixtures/herd.csv:1: the first row names the columns, the first of them id"},
		{map[string]string{"fixtures/herd.csv": "id,count\nA B,3\n"}, `fixtures/herd.csv:2: herd id "A B"`},
		{map[string]string{"fixtures/all.ndjson": "{\n"}, "fixtures/all.ndjson:1: not an entity"},
		{map[string]string{"fixtures/all.xml": "<a/>"}, "fixtures/all.xml: unknown file"},
		{words("[fields.herd]\nweight = \"重\"\n"), `i18n/zh.toml:2: herd has no field "weight"`},
		{words("[fields.flock]\nweight = \"重\"\n"), `i18n/zh.toml:1: unknown entity type "flock"`},
		{words("[fields.herd]\n"), ""},
		{map[string]string{"i18n/mn.toml": "[titles]\ncount = \"Тоолох\"\n[questions]\nspecies = \"Төрөл\"\n[choices.species]\ngoat = \"Ямаа\"\n"}, ""},
		{map[string]string{"i18n/mn.toml": "[titles]\ncounts = \"Тоолох\"\n"}, "i18n/mn.toml:2: the pack has no titles.counts: correct the name or remove the words"},
		{map[string]string{"i18n/mn.toml": "[questions]\n\nspecie = \"Төрөл\"\n"}, "i18n/mn.toml:3: the pack has no questions.specie: correct"},
		{map[string]string{"i18n/mn.toml": "[form.counts]\nspecies = \"Төрөл\"\n"}, "i18n/mn.toml:2: the pack has no form.counts.species: correct"},
		{map[string]string{"i18n/mn.toml": "[choices.species]\nyak = \"Сарлаг\"\n"}, "i18n/mn.toml:2: the pack has no choices.species.yak: correct"},
		{map[string]string{"i18n/mn.toml": "[types]\nflock = \"Сүрэг\"\n"}, "i18n/mn.toml:2: the pack has no types.flock: correct"},
		{map[string]string{"i18n/mn.toml": "[rules]\nodd = \" \"\n"}, "i18n/mn.toml:2: rules.odd is empty: write the words"},
		{words("[words]\n"), `i18n/zh.toml:1: unknown key "words"`},
		{map[string]string{"i18n/zh.json": "{}"}, "i18n/zh.json: unknown file"},
	} {
		err := ruled(someRules, tc.more)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%v: %v", tc.more, err)
			}
			continue
		}
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+tc.want) {
			t.Errorf("want %s\ngot  %v", tc.want, err)
		}
	}
}

func TestMergeTypes(t *testing.T) {
	typ := first(t).Domain().Type("herd")
	if typ == nil {
		t.Fatal("no type herd")
	}
	if name, rule, ok := typ.Register("method"); name != "counted" || rule != merge.Ask || !ok {
		t.Errorf("method is in %s, %s, %v", name, rule, ok)
	}
	if _, rule, _ := typ.Register("counted_at"); rule != merge.Greatest {
		t.Errorf("counted_at: %s", rule)
	}
	if first(t).Domain().Type("yurt") != nil {
		t.Error("a type that is not declared")
	}
}

const someRoster = `
[values.months]
value = 12
unit = "months"
source = "assumed"

[[roster]]
id = "list"
label = { zh = "名单", en = "List" }
entity = "household"
of = "herd"
by = "household"
checks = "days"
within = "months"
[roster.fields]
name = "team"
place = "team"
`

func TestRosters(t *testing.T) {
	files := map[string]string{"entities.toml": herds, "rules.toml": someRules + someRoster}
	p, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Domain().Rosters()) != 1 || len(pack.NewShelf(p).Rosters()) != 1 {
		t.Fatalf("%+v", p.Rosters)
	}
	if got := p.Rosters[0]; got.ID != "list" || got.Type != "household" || got.Of != "herd" || got.Months != 12 || got.Fields["name"] != "team" || got.Label["en"] != "List" {
		t.Errorf("%+v", got)
	}
	for _, tc := range []struct{ old, new, want string }{
		{`id = "list"`, `id = "odd"`, "rule odd stands twice"},
		{`entity = "household"`, `entity = "yurt"`, `unknown entity type "yurt"`},
		{`by = "household"`, `by = "count"`, "the field count of herd names no household"},
		{"by = \"household\"\n", "", "write of with an entity type and by"},
		{`checks = "days"`, `checks = "nights"`, `herd has no field "nights"`},
		{"checks = \"days\"\n", "", "write checks with a field of days and within"},
		{`within = "months"`, `within = "window"`, `"window" is no value in months`},
		{`place = "team"`, `colour = "team"`, `nothing is compared by "colour"`},
		{`place = "team"`, `place = "team.name"`, `the field "team" of household names no entity`},
		{`place = "team"`, `place = "house"`, `household has no field "house"`},
		{"place = \"team\"\n", "", "two fields or more"},
	} {
		if !strings.Contains(someRoster, tc.old) {
			t.Fatalf("%q is not in the base", tc.old)
		}
		err := ruled(someRules+strings.Replace(someRoster, tc.old, tc.new, 1), nil)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("want %s\ngot  %v", tc.want, err)
		}
	}
}
