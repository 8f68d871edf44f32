// Package metertest holds what is written about metrics against what a program tells.
//
// A dashboard or an alert about a metric that is called otherwise shows nothing and
// rings never: [Named] reads which metrics docs/monitoring names, [Lacking] says which of
// them a scrape does not have.
package metertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"
)

// Files of docs/monitoring.
const (
	Rules     = "otor.rules.yml"
	Dashboard = "otor.dashboard.json"
)

// ruleFile is what Prometheus reads.
type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// dashboard is as much of Grafana's as tells what is shown.
type dashboard struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// Named lists the metrics that rules and dashboard in a folder name, sorted. It fails
// when one of the files, or an expression in it, cannot be read.
func Named(folder string) ([]string, error) {
	names := make(map[string]bool)
	b, err := os.ReadFile(filepath.Join(folder, Rules))
	if err != nil {
		return nil, err
	}
	if err := inRules(b, names); err != nil {
		return nil, fmt.Errorf("%s: %w", Rules, err)
	}
	if b, err = os.ReadFile(filepath.Join(folder, Dashboard)); err != nil {
		return nil, err
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", Dashboard, err)
	}
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			if err := inExpr(t.Expr, names); err != nil {
				return nil, fmt.Errorf("%s: panel %q: %w", Dashboard, p.Title, err)
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func inRules(b []byte, names map[string]bool) error {
	var f ruleFile
	dec := yaml.NewDecoder(strings.NewReader(string(b)))
	dec.KnownFields(true) // Prometheus refuses what it does not know
	if err := dec.Decode(&f); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || seen[r.Alert] || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				return fmt.Errorf("group %s: alert %q has no name of its own, no severity or no summary", g.Name, r.Alert)
			}
			seen[r.Alert] = true
			if err := inExpr(r.Expr, names); err != nil {
				return fmt.Errorf("alert %s: %w", r.Alert, err)
			}
			if r.For != "" {
				if _, err := metricsql.DurationValue(r.For, 1); err != nil {
					return fmt.Errorf("alert %s: for: %w", r.Alert, err)
				}
			}
		}
	}
	if len(seen) == 0 {
		return fmt.Errorf("there is no alert in it")
	}
	return nil
}

// inExpr notes the metrics of an expression.
func inExpr(text string, names map[string]bool) error {
	e, err := metricsql.Parse(text)
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	found := 0
	metricsql.VisitAll(e, func(x metricsql.Expr) {
		m, ok := x.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		for _, filters := range m.LabelFilterss {
			for _, l := range filters {
				if l.Label == "__name__" && !l.IsRegexp && !l.IsNegative {
					names[l.Value] = true
					found++
				}
			}
		}
	})
	if found == 0 {
		return fmt.Errorf("%q names no metric", text)
	}
	return nil
}

// Lacking lists the names with a prefix that a scrape has no value of.
func Lacking(names []string, prefix, scrape string) (out []string) {
	have := make(map[string]bool)
	lines := bufio.NewScanner(strings.NewReader(scrape))
	for lines.Scan() {
		if name := strings.FieldsFunc(lines.Text(), func(r rune) bool { return r == '{' || r == ' ' }); len(name) > 1 && name[0] != "#" {
			have[name[0]] = true
		}
	}
	for _, n := range names {
		if strings.HasPrefix(n, prefix) && !have[n] {
			out = append(out, n)
		}
	}
	return out
}
