package console

import (
	"strings"
	"testing"
)

// Frequent faults of a pack are said in the reader's language, with their place and names;
// others come in the hub's words behind a sentence that says so.
func TestFaultsOfPacks(t *testing.T) {
	zh, en := texts().Words("zh"), texts().Words("en")
	for fault, want := range map[string]string{
		`rules.toml:7: pension has no field "chekcs": correct the name`:                                                 `rules.toml:7：pension 没有字段 "chekcs"，请改名称。`,
		`pack.toml:3: unknown key "titel": remove it or correct its spelling`:                                           `pack.toml:3：不认识的键 "titel"，请删去或改正拼写。`,
		`pack.toml: is missing: every pack has pack.toml`:                                                               `pack.toml：缺少这个文件，请补上。`,
		`forms/visit/survey.csv:2: unknown type "txt": write one of text, integer`:                                      `forms/visit/survey.csv:2：不认识的类型 "txt"，可以写：text, integer`,
		`rules.toml:9: escalation sos has no steps: write steps with level and within`:                                  `rules.toml:9：这里有问题，请按中心的原话改正：escalation sos has no steps: write steps with level and within`,
		`forms/visit: the form is another than in version 3 of the pack and says that it is version 3: write version 4`: `forms/visit：表单与第 3 版表单包里的不同，版本号却没变：请写 4。`,
	} {
		if got := faultWords(zh, fault); got != want {
			t.Errorf("%s:\n%s, want\n%s", fault, got, want)
		}
		if got := faultWords(en, fault); got != fault {
			t.Errorf("in English %q", got)
		}
	}
	for _, shape := range faultShapes {
		if strings.HasPrefix(zh.T("fault."+shape.key), "[") {
			t.Errorf("%s has no words", shape.key)
		}
	}
}

// Who acts without a name, and kinds of facts, have words; names stay names.
func TestWhoAndFactWords(t *testing.T) {
	zh := texts().Words("zh")
	for by, want := range map[string]string{"command line (root)": "命令行（root）", "owner of this machine": "本机主人", "office": "办公室", "rita": "rita", "U06": "U06"} {
		if got := whoWords(zh, by); got != want {
			t.Errorf("%s: %q", by, got)
		}
	}
	for _, k := range FactKinds {
		if !zh.Has("fact." + k) {
			t.Errorf("%s has no words", k)
		}
	}
}

// At the ends of the route's line a name gives way to the one beside it.
func TestNamesOfEndsKeepApart(t *testing.T) {
	name := "Naren Bulag muster point"
	if n := roomFor(name, "Water source 1", 266); n < 8 || lengthOf(string([]rune(name)[:n]))+lengthOf("Water source 1")/2 >= 266 {
		t.Errorf("%d letters", n)
	}
	if n := roomFor("那仁布拉格", "水源", 266); n != 5 {
		t.Errorf("%d characters of a short name", n)
	}
}
