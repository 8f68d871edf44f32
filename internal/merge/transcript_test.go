package merge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/hlc"
	"otor/internal/merge"
)

// Readable days of a few devices and a hub. Commands:
//
//	type              lines "field rule [group]"
//	write A [record|alert] [answer] [at=N]   lines "field value" (JSON); answer settles a conflict
//	send A [record|alert] [n]     the first n unsent entries of the lane reach the hub; all without n
//	pull A            the device takes over the hub's state
//	show [A]          what the hub, or the device, shows
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		d := &desk{hub: merge.New(entry.Ref{Type: "thing", ID: "1"}), devices: map[string]*device{}}
		datadriven.RunTest(t, path, func(t *testing.T, c *datadriven.TestData) string {
			t.Helper()
			out, err := d.run(c)
			if err != nil {
				return "error: " + err.Error() + "\n"
			}
			return out
		})
	})
}

type desk struct {
	kind    *merge.Type
	hub     *merge.State
	devices map[string]*device
	clock   int64
}

func (d *desk) run(c *datadriven.TestData) (string, error) {
	if c.Cmd == "type" {
		return d.define(c.Input)
	}
	var dev *device
	lane := dot.Record
	if len(c.CmdArgs) > 0 {
		dev = d.device(c.CmdArgs[0].Key)
	}
	if c.HasArg("alert") {
		lane = dot.Alert
	}
	switch c.Cmd {
	case "write":
		return d.write(dev, lane, c)
	case "send":
		n := len(dev.out[lane])
		if last := c.CmdArgs[len(c.CmdArgs)-1].Key; last[0] >= '0' && last[0] <= '9' {
			fmt.Sscan(last, &n)
		}
		for _, x := range dev.out[lane][:n] {
			d.hub.Apply(x)
		}
		dev.out[lane] = dev.out[lane][n:]
		return d.show(d.hub), nil
	case "pull":
		dev.base = d.hub.Clone()
		dev.overlay = slices.DeleteFunc(dev.overlay, func(x merge.Change) bool { return dev.base.Seen.Covers(x.Dot) })
		return d.show(view(dev)), nil
	case "show":
		if dev != nil {
			return d.show(view(dev)), nil
		}
		return d.show(d.hub), nil
	}
	return "", fmt.Errorf("unknown command %s", c.Cmd)
}

func view(d *device) *merge.State {
	s := d.base.Clone()
	for _, c := range d.overlay {
		if !d.base.Seen.Covers(c.Dot) {
			s.Apply(c)
		}
	}
	return s
}

func (d *desk) define(lines string) (string, error) {
	var fields []merge.Field
	for line := range strings.Lines(lines) {
		w := append(strings.Fields(line), "", "")
		rule, _ := merge.ParseRule(w[1])
		fields = append(fields, merge.Field{Name: w[0], Rule: rule, Group: w[2]})
	}
	var err error
	d.kind, err = merge.NewType("thing", fields)
	return "", err
}

func (d *desk) device(name string) *device {
	if d.devices[name] == nil {
		d.devices[name] = &device{name: dot.Device(name), base: merge.New(d.hub.Ref), seq: map[dot.Lane]dot.Seq{}, out: map[dot.Lane][]merge.Change{}}
	}
	return d.devices[name]
}

func (d *desk) write(dev *device, lane dot.Lane, c *datadriven.TestData) (string, error) {
	d.clock++
	at := d.clock
	for _, a := range c.CmdArgs {
		if a.Key == "at" {
			fmt.Sscan(a.Vals[0], &at)
		}
	}
	s := view(dev)
	x := merge.Change{HLC: hlc.Time{Millis: at}}
	for line := range strings.Lines(c.Input) {
		field, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return "", err
		}
		ws, err := s.Answer(d.kind, field, whole(v), c.HasArg("answer"))
		if err != nil {
			return "", err
		}
		x.Writes = append(x.Writes, ws...)
	}
	if len(x.Writes) == 0 {
		return "nothing changed\n", nil
	}
	dev.seq[lane]++
	x.Dot = dot.Chain{Device: dev.name, Incarnation: 1, Lane: lane}.At(dev.seq[lane])
	dev.overlay, dev.out[lane] = append(dev.overlay, x), append(dev.out[lane], x)
	out := x.Dot.String() + "\n"
	for _, w := range x.Writes {
		op := [...]string{"sets", "adds", "moves"}[w.Op]
		out += fmt.Sprintf("  %s %s, having seen %v\n", op, w.Register, w.Context.Dots())
	}
	return out, nil
}

// whole makes JSON's numbers whole ones.
func whole(v any) any {
	switch x := v.(type) {
	case float64:
		return int64(x)
	case map[string]any:
		for k := range x {
			x[k] = whole(x[k])
		}
	}
	return v
}

func (d *desk) show(s *merge.State) string {
	v := s.View(d.kind)
	var b strings.Builder
	if v.Deleted {
		b.WriteString("deleted\n")
	}
	if v.DeletionConflict {
		b.WriteString("DELETED AND EDITED: a conflict\n")
	}
	for _, f := range v.Fields {
		switch value, _ := json.Marshal(f.Value); {
		case !f.Known && !f.Conflict:
			continue
		case f.Conflict && !f.Known:
			fmt.Fprintf(&b, "%s: nothing yet, CONFLICT", f.Name)
		case f.Conflict:
			fmt.Fprintf(&b, "%s: %s for now, CONFLICT", f.Name, value)
		default:
			fmt.Fprintf(&b, "%s: %s", f.Name, value)
		}
		if len(f.Values) > 1 {
			b.WriteString(" of")
			for _, x := range f.Values {
				value, _ := json.Marshal(x.Get())
				fmt.Fprintf(&b, " %s by %s;", value, x.Dots[0])
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "seen %v\n", s.Seen.Dots())
	return b.String()
}
