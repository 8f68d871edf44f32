package web_test

import (
	"html"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"otor/agent/web"
	"otor/internal/form"
	"otor/internal/pack"
)

var (
	scripts  = regexp.MustCompile(`(?s)<(script|style|svg)[ >].*?</(script|style|svg)>`)
	textNode = regexp.MustCompile(`>([^<>]+)<`)
	spoken   = regexp.MustCompile(` (?:aria-label|alt|title|placeholder)="([^"]+)"`)
)

// said lists what a page says to people, each piece by itself.
func said(page string) (out []string) {
	page = scripts.ReplaceAllString(page, "")
	for _, find := range []*regexp.Regexp{textNode, spoken} {
		for _, m := range find.FindAllStringSubmatch(page, -1) {
			if s := strings.TrimSpace(html.UnescapeString(m[1])); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// foreign are words that must not be seen in Mongolian: those of other languages for what
// has Mongolian ones, and bare values that have labels.
func foreign(t *testing.T, p *pack.Pack) map[string]bool {
	t.Helper()
	out, own := map[string]bool{}, map[string]bool{}
	texts := map[string]map[string]any{}
	for _, lang := range []string{"zh", "en", "mn"} {
		for _, file := range []string{"text/" + lang + ".toml", "../../internal/webui/text/" + lang + ".toml"} {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var c struct {
				Text map[string]any `toml:"text"`
			}
			if err := toml.Unmarshal(b, &c); err != nil {
				t.Fatal(err)
			}
			if texts[lang] == nil {
				texts[lang] = map[string]any{}
			}
			maps.Copy(texts[lang], c.Text)
		}
	}
	add := func(l form.Labels) {
		own[l["mn"]] = true
		for _, lang := range []string{"zh", "en"} {
			out[l[lang]] = true
		}
	}
	for key := range texts["en"] {
		if strings.HasPrefix(key, "lang.") {
			continue // languages are called by their own names
		}
		zh, _ := texts["zh"][key].(string)
		en, _ := texts["en"][key].(string)
		mn, _ := texts["mn"][key].(string)
		add(form.Labels{"zh": zh, "en": en, "mn": mn})
	}
	var walk func(fields []form.Field)
	walk = func(fields []form.Field) {
		for _, f := range fields {
			add(f.Label)
			for _, c := range f.Choices {
				add(c.Label)
				if strings.Contains(c.Name, "_") {
					out[c.Name] = true
				}
			}
			walk(f.Fields)
		}
	}
	for _, f := range p.Forms.All() {
		add(f.Title)
		walk(f.Fields)
	}
	for _, e := range p.Entities {
		add(e.Label)
	}
	for key, l := range p.Pages.Says {
		add(l)
		out[key[strings.LastIndexByte(key, '.')+1:]] = true
	}
	for w := range own {
		delete(out, w)
	}
	delete(out, "")
	return out
}

// TestPagesSpeakMongolian: no page of the team falls back to another language, nor to a
// bare value, where there are words.
func TestPagesSpeakMongolian(t *testing.T) {
	p, err := pack.Transhumance()
	if err != nil {
		t.Fatal(err)
	}
	words := foreign(t, p)
	delete(words, steppe()["bulletin"]["B-03"]["title_zh"].(string)) // what the office wrote, in its language
	if len(words) < 500 {
		t.Fatalf("only %d words of other languages are looked for", len(words))
	}
	fallen := func(lang string) (out []string, pieces int) {
		cfg, _, _ := teamConfig(t)
		cfg.DefaultLang = lang
		known := steppe()
		known["herd"] = map[string]map[string]any{"H-NB-07.goat": {"household": "H-NB-07", "species": "goat", "age": "adult", "count": 40.0, "method": "self_report"}}
		known["plot"] = map[string]map[string]any{"P-1": {"household": "H-NB-07", "regime": "balance", "area_mu": 800.0}}
		known["case"] = map[string]map[string]any{"C-1": {"household": "H-NB-07", "item": "SV-GB", "year": 2025.0, "state": "submitted"}}
		cfg.Books, cfg.Entities = known, known
		srv := httptest.NewServer(web.New(cfg))
		defer srv.Close()
		c := reader(t, srv)
		for _, path := range []string{
			"/", "/households", "/household/H-NB-07", "/household/H-NB-02", "/household/H-XX-99", "/due", "/route", "/bulletins", "/bulletin/B-03",
			"/stations", "/station/S1", "/sos", "/sos/sent?entry=D-101/1/alert/1", "/records", "/records?list=drafts", "/records?list=returned", "/settings",
		} {
			_, body := page(t, c, srv.URL+path)
			for _, s := range said(body) {
				pieces++
				if words[s] {
					out = append(out, path+": "+s)
				}
			}
		}
		slices.Sort(out)
		return slices.Compact(out), pieces
	}
	got, pieces := fallen("mn")
	if pieces < 300 {
		t.Errorf("only %d pieces of text were looked at", pieces)
	}
	for _, s := range got {
		t.Error(s)
	}
	// The control: the same pages in English are full of such words.
	if got, _ := fallen("en"); len(got) < 50 {
		t.Errorf("in English only %d words are found: the test sees nothing", len(got))
	}
}
