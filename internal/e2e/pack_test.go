package e2e_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"otor/hub/backup"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
	"otor/internal/dot"
	"otor/internal/e2e"
	"otor/internal/pack"
)

// packFolder writes the built-in pack, changed, and returns its folder.
func packFolder(t *testing.T, change map[string]func(string) string) string {
	t.Helper()
	src, err := pack.TranshumanceFS()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "pack")
	if err := os.CopyFS(dir, src); err != nil {
		t.Fatal(err)
	}
	for name, do := range change {
		b, err := fs.ReadFile(src, name)
		if err != nil {
			t.Fatal(err)
		}
		now := do(string(b))
		if bytes.Equal(b, []byte(now)) {
			t.Fatalf("%s is not changed: the pack has moved on, correct this test", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func replace(from, to string) func(string) string {
	return func(s string) string { return strings.Replace(s, from, to, 1) }
}

// secondPack asks one question more about visits.
func secondPack(t *testing.T) string {
	t.Helper()
	return packFolder(t, map[string]func(string) string{
		"pack.toml":                replace("version = 1\n", "version = 2\n"),
		"forms/visit/settings.csv": replace("visit,入户走访,1,", "visit,入户走访,2,"),
		"forms/visit/survey.csv":   func(s string) string { return s + "text,wind,风,Wind,Салхи,,,,,,,,,,\n" },
	})
}

func entryOf(t *testing.T, hub *e2e.Hub, d dot.Dot) server.EntryLine {
	t.Helper()
	es := hub.Entries(t, "--device", string(d.Device))
	i := slices.IndexFunc(es, func(e server.EntryLine) bool { return e.Dot == d })
	if i < 0 {
		t.Fatalf("the hub does not have %s", d)
	}
	return es[i]
}

const (
	oldVisit = `{"topics":["weather"],"minutes":10}` + "\n"
	newVisit = `{"topics":["weather"],"minutes":10,"wind":"north"}` + "\n"
)

// TestPackPublishedWhileRunning publishes a version under a running hub: a running
// device captures by it and nobody touches it, what came too early is judged after
// all, and a device that was away is judged by the version that it has.
func TestPackPublishedWhileRunning(t *testing.T) {
	hub := e2e.StartHub(t)
	second := secondPack(t)
	running, away, early := hub.Enrol(t, "D-1"), hub.Enrol(t, "D-2"), hub.Enrol(t, "D-3")
	running.Start(t)
	waiting := early.MustPut(t, newVisit, "--form", "visit", "--entity", "H-NB-07", "--pack", second)[0].Dot
	early.Sync(t)
	if e := entryOf(t, hub, waiting); e.Verdict != store.Quarantined || e.Code != "form_newer" {
		t.Fatalf("before its form is published: %+v", e)
	}
	old := away.MustPut(t, oldVisit, "--form", "visit")[0].Dot

	said := e2e.Decode[server.Published](t, hub.Do(t, "pack", "publish", second, "--json").Want(t, cli.OK))
	if said.Version != 2 || said.Replayed != 1 || !said.Current || said.PublishedAt == nil {
		t.Errorf("published: %+v", said)
	}
	again := e2e.Decode[server.Published](t, hub.Do(t, "pack", "publish", second, "--json").Want(t, cli.OK))
	if again.Sent != 0 || again.Replayed != 0 || !again.PublishedAt.Equal(*said.PublishedAt) {
		t.Errorf("published again: %+v", again)
	}
	if e := entryOf(t, hub, waiting); e.Verdict != store.Applied || e.FormVersion != 2 {
		t.Errorf("what had come too early: %+v", e)
	}
	early.Sync(t)
	if v := early.Log(t)[0].Verdict; v == nil || v.Name != "applied" || v.Returned {
		t.Errorf("its author is told %+v", v)
	}

	var saved []e2e.Saved
	e2e.Eventually(t, "the running device to capture by version 2", func() bool {
		_, saved = running.Put(t, newVisit, "--form", "visit")
		return len(saved) == 1
	})
	e2e.Eventually(t, "its record to be applied", func() bool {
		es := hub.Entries(t, "--device", "D-1")
		return len(es) > 0 && es[0].FormVersion == 2 && es[0].Verdict == store.Applied
	})
	away.Sync(t)
	if e := entryOf(t, hub, old); e.FormVersion != 1 || e.Verdict != store.Applied {
		t.Errorf("the record of a device that was away: %+v", e)
	}
	away.MustPut(t, newVisit, "--form", "visit") // the sync brought version 2 there too
	away.Sync(t)
	e2e.Eventually(t, "all devices to say that they work by version 2", func() bool {
		list := e2e.Lines[server.PackLine](t, hub.Do(t, "pack", "list", "--json").Want(t, cli.OK).Out)
		return len(list) == 2 && list[0].PublishedAt == nil && !list[0].Current && list[1].Devices == 3 && list[1].Current
	})
}

// TestPackComesBackFromJournal restores two hubs from a backup of before: with the
// journal the pack is there, without it devices go on by it and nothing is lost.
func TestPackComesBackFromJournal(t *testing.T) {
	hub := e2e.StartHub(t)
	a := hub.Enrol(t, "D-1")
	backups := filepath.Join(t.TempDir(), "backups")
	made := e2e.Decode[backup.Made](t, hub.Do(t, "backup", backups, "--json").Want(t, cli.OK))
	hub.Do(t, "pack", "publish", secondPack(t)).Want(t, cli.OK)
	a.Sync(t)
	saved := a.MustPut(t, newVisit, "--form", "visit")[0].Dot
	a.Sync(t)
	if code := hub.Stop(t); code != cli.OK {
		t.Fatalf("stop: %d", code)
	}
	journal := hub.Dir + "-journal"
	for name, with := range map[string]bool{"with its journal": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			back := e2e.NewHub(t, "")
			args := []string{"restore", made.Path}
			if with {
				if err := os.CopyFS(back.Dir+"-journal", os.DirFS(journal)); err != nil {
					t.Fatal(err)
				}
			}
			back.Do(t, args...).Want(t, cli.OK)
			back.ListenLike(hub.NATS())
			back.Start(t)
			defer back.Stop(t)
			list := e2e.Lines[server.PackLine](t, back.Do(t, "pack", "list", "--json").Want(t, cli.OK).Out)
			if with != (len(list) == 2 && list[1].Current) {
				t.Fatalf("packs: %+v", list)
			}
			device := e2e.NewAgent(t, copyOf(t, a))
			device.MustPut(t, newVisit, "--form", "visit") // it goes on by version 2
			if !with {
				back.Do(t, "device", "confirm").Want(t, cli.OK)
			}
			device.Sync(t)
			e := entryOf(t, back, saved)
			if with && (e.Verdict != store.Applied || e.FormVersion != 2) {
				t.Errorf("refilled: %+v", e)
			}
			if with {
				return
			}
			if e.Code != "form_newer" {
				t.Errorf("refilled: %+v", e)
			}
			device.MustPut(t, newVisit, "--form", "visit") // and still does after it heard of the older hub
			device.Sync(t)
			back.Do(t, "pack", "publish", secondPack(t)).Want(t, cli.OK)
			for _, e := range back.Entries(t) {
				if e.Verdict != store.Applied {
					t.Errorf("published again: %+v", e)
				}
			}
		})
	}
}

// TestBadPacksAreRefused names what is wrong by file and line, and publishes nothing.
func TestBadPacksAreRefused(t *testing.T) {
	hub := e2e.StartHub(t)
	next := func(change map[string]func(string) string) map[string]func(string) string {
		change["pack.toml"] = replace("version = 1\n", "version = 2\n")
		return change
	}
	rules := func(more string) map[string]func(string) string {
		return next(map[string]func(string) string{"rules.toml": func(s string) string { return s + more }})
	}
	for name, c := range map[string]struct {
		change map[string]func(string) string
		words  []string
	}{
		"a circle": {
			rules("\n[[derive]]\nentity = \"plot\"\nfield = \"ring\"\nvalue = \"entity.ring2\"\n\n[[derive]]\nentity = \"plot\"\nfield = \"ring2\"\nvalue = \"entity.ring\"\n"),
			[]string{"rules.toml:", "plot.ring", "circle"},
		},
		"an unknown rule": {
			next(map[string]func(string) string{"entities.toml": replace(`level = { type = "text", rule = "latest" }`, `level = { type = "text", rule = "newest" }`)}),
			[]string{"entities.toml:12:", `"newest"`, "write one of latest"},
		},
		"an id twice": {
			rules("\n[[flag]]\nid = \"attribution\"\nforms = [\"visit\"]\nwhen = \"true\"\nwords = { zh = \"甲\", en = \"A\", mn = \"A\" }\n"),
			[]string{"rules.toml:", "attribution", "twice"},
		},
		"an expression that is none": {
			rules("\n[[flag]]\nid = \"odd\"\nforms = [\"visit\"]\nwhen = \"answers.minutes >\"\nwords = { zh = \"甲\", en = \"A\", mn = \"A\" }\n"),
			[]string{"rules.toml:", "odd", "when"},
		},
		"an expression that runs away": {
			rules("\n[[flag]]\nid = \"odd\"\nforms = [\"visit\"]\nwhen = \"answers.topics.all(a, answers.topics.all(b, answers.topics.all(c, answers.topics.all(d, a == b && c == d))))\"\nwords = { zh = \"甲\", en = \"A\", mn = \"A\" }\n"),
			[]string{"rules.toml:", "odd", "when"},
		},
		"another type of an old field": {
			next(map[string]func(string) string{"entities.toml": replace(`grid = { type = "text", rule = "ask", ref = "admin_area" }`, `grid = { type = "integer", rule = "ask" }`)}),
			[]string{"entities.toml:", "grid of household", `"text" since version 1`, "another name"},
		},
		"another type of an old question": {next(map[string]func(string) string{
			"forms/visit/settings.csv": replace("visit,入户走访,1,", "visit,入户走访,2,"), "forms/visit/survey.csv": replace("integer,minutes,", "decimal,minutes,"),
		}), []string{"forms/visit/survey.csv:4:", "minutes"}},
		"a changed form with the old version": {
			next(map[string]func(string) string{"forms/visit/survey.csv": replace("用时", "时长")}),
			[]string{"forms/visit/settings.csv:2:", "write version 2"},
		},
		"the old version": {map[string]func(string) string{"entities.toml": replace("行政区", "区划")}, []string{"pack.toml:3:", "write 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := packFolder(t, c.change)
			for _, do := range []string{"check", "publish"} {
				hub.Do(t, "pack", do, dir).Want(t, cli.Refused).Words(t, c.words...)
			}
		})
	}
	list := e2e.Lines[server.PackLine](t, hub.Do(t, "pack", "list", "--json").Want(t, cli.OK).Out)
	if len(list) != 1 {
		t.Errorf("packs after all of it: %+v", list)
	}
	hub.Do(t, "pack", "check", secondPack(t)).Want(t, cli.OK) // the control: a good one passes
}
