package metertest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"otor/internal/telemetry/metertest"
)

const docs = "../../../docs/monitoring"

func TestNamed(t *testing.T) {
	names, err := metertest.Named(docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"otor_hub_waiting_entries", "otor_agent_nothing_lost", "otor_hub_ingest_seconds_bucket", "up"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	for _, n := range names {
		if n != "up" && !strings.HasPrefix(n, "otor_") && !strings.HasPrefix(n, "process_") {
			t.Errorf("%s is told by neither program", n)
		}
	}
	scrape := "# HELP otor_hub_a_total x\notor_hub_a_total{code=\"x\"} 1\notor_hub_b 2\n"
	if got := metertest.Lacking([]string{"otor_hub_a_total", "otor_hub_b", "otor_hub_c", "otor_agent_d", "x"}, "otor_hub_", scrape); !slices.Equal(got, []string{"otor_hub_c"}) {
		t.Errorf("lacking: %v", got)
	}
}

// What is wrong in the files is found.
func TestFaults(t *testing.T) {
	const good = "groups:\n- name: x\n  rules:\n  - alert: A\n    expr: otor_hub_a > 1\n    labels: {severity: page}\n    annotations: {summary: s}\n"
	for name, files := range map[string][2]string{
		"no yaml":               {"groups: [", `{}`},
		"no alert":              {"groups: []\n", `{}`},
		"an unknown key":        {strings.Replace(good, "expr:", "expression:", 1), `{}`},
		"no expression":         {strings.Replace(good, "> 1", ">", 1), `{}`},
		"no metric":             {strings.Replace(good, "otor_hub_a", "1", 1), `{}`},
		"no severity":           {strings.Replace(good, "severity", "weight", 1), `{}`},
		"no duration":           {strings.Replace(good, "labels:", "for: soon\n    labels:", 1), `{}`},
		"no dashboard":          {good, `[`},
		"a panel with no query": {good, `{"panels":[{"title":"x","targets":[{"expr":"sum("}]}]}`},
	} {
		dir := t.TempDir()
		for i, f := range []string{metertest.Rules, metertest.Dashboard} {
			if err := os.WriteFile(filepath.Join(dir, f), []byte(files[i]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if names, err := metertest.Named(dir); err == nil {
			t.Errorf("%s: nothing was found wrong: %v", name, names)
		}
	}
}
