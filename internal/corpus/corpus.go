// Package corpus makes realistic records in any number, for benchmarks and
// long tests.
//
// It draws forms as often as a day in the field uses them, and fills each
// question by its type, choices and rule: names, herds and places vary as they
// do among some hundred households along one route. The same seed gives the
// same records. Nothing in it describes a real person or place.
package corpus

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"otor/internal/dot"
	"otor/internal/entry"
	"otor/internal/form"
	"otor/internal/vv"
)

// Record is one filled form with what a capture adds.
type Record struct {
	Form     *form.Form
	Entity   string
	Actor    string
	Wall     time.Time
	Offset   entry.Offset
	Fields   map[string]any
	Position *entry.Position
	// Context is what the writer had seen of the entity; nil for records that
	// change none.
	Context vv.Vector
}

// weights says how often a form comes up in a day, in parts; other forms are 1.
var weights = map[string]int{
	"visit": 20, "pension_auth": 14, "livestock_count": 14, "household_edit": 8, "stock_use": 8,
	"subsidy_application": 8, "vet_treatment": 6, "bulletin_receipt": 6, "person_edit": 4, "hazard": 3,
	"errand": 3, "water_check": 3, "follow_up": 3, "suggestion": 2, "mediation": 2,
}

// Source makes records. It is not safe for concurrent use.
type Source struct {
	r     *rand.Rand
	forms []*form.Form // each as often as its weight
	lane  dot.Lane     // 0: both
	wall  time.Time
	times int // the population is that of the route so many times
}

// routeHouseholds is how many households the records are about, unless [Source.Among]
// says otherwise.
const routeHouseholds = 44

// Among spreads the records over about n households, and as many more persons, herds
// and stations as they have; the route's waypoints stay the same.
func (s *Source) Among(n int) *Source {
	s.times = max(1, n/routeHouseholds)
	return s
}

// New returns a source over the newest version of each form. With a lane it
// draws forms of that lane alone.
func New(seed uint64, reg *form.Registry, lane dot.Lane, start time.Time) *Source {
	s := &Source{r: rand.New(rand.NewPCG(seed, 0x07042)), lane: lane, wall: start, times: 1}
	for _, id := range reg.IDs() {
		f, _ := reg.Latest(id)
		if lane != 0 && f.Lane != lane {
			continue
		}
		for range max(weights[id], 1) {
			s.forms = append(s.forms, f)
		}
	}
	return s
}

// Next makes one record, some minutes after the one before.
func (s *Source) Next() Record {
	f := s.forms[s.r.IntN(len(s.forms))]
	s.wall = s.wall.Add(time.Duration(20_000+s.r.IntN(900_000)) * time.Millisecond)
	rec := Record{
		Form: f, Entity: s.id(f.Entity), Actor: fmt.Sprintf("U%02d", 1+s.r.IntN(4)), Wall: s.wall,
		Offset: entry.Offset{Millis: -3 + int64(s.r.IntN(3)), Age: uint32(60 * s.r.IntN(500))},
		Fields: map[string]any{},
	}
	s.fill(rec.Fields, f.Fields, true)
	if s.r.IntN(10) > 0 {
		rec.Position = &entry.Position{
			Lon: int32(101_570_000 + s.r.IntN(170_000)), Lat: int32(39_180_000 + s.r.IntN(150_000)),
			Accuracy: uint32(10 * (4 + s.r.IntN(9))), Source: entry.GNSS,
		}
	}
	if strings.HasSuffix(f.ID, "_edit") || f.ID == "livestock_count" {
		rec.Context = s.context()
	}
	return rec
}

// context is what had been seen of an entity: a few writes by a few devices.
func (s *Source) context() vv.Vector {
	v := vv.Vector{}
	for range 1 + s.r.IntN(3) {
		d := dot.Device(fmt.Sprintf("D-%d", 101+100*s.r.IntN(4)+s.r.IntN(2)))
		v[dot.Chain{Device: d, Incarnation: 1, Lane: dot.Record}] = dot.Seq(1 + s.r.IntN(3000))
	}
	return v
}

// fill answers questions: required ones always, others now and then.
func (s *Source) fill(into map[string]any, fields []form.Field, top bool) {
	for i := range fields {
		f := &fields[i]
		optional := !f.Required
		if optional && f.RequiredUnless == "" && s.r.IntN(4) > 0 && (top || i > 0) {
			continue
		}
		if v := s.value(f); v != nil {
			into[f.Name] = v
		}
	}
}

func (s *Source) value(f *form.Field) any {
	if f.Many {
		n := 1 + s.r.IntN(3)
		out := make([]any, 0, n)
		for range n {
			if v := s.one(f); v != nil {
				out = append(out, v)
			}
		}
		return out
	}
	return s.one(f)
}

func (s *Source) one(f *form.Field) any {
	switch f.Kind {
	case form.Group:
		m := map[string]any{}
		s.fill(m, f.Fields, false)
		return m
	case form.Repeat:
		n := 1 + s.r.IntN(2)
		rows := make([]any, n)
		for i := range rows {
			m := map[string]any{}
			s.fill(m, f.Fields, false)
			rows[i] = m
		}
		return rows
	case form.SelectOne:
		return s.choice(f)
	case form.SelectMultiple, form.Rank:
		if len(f.Choices) == 0 {
			return []any{s.id(f.Entity)}
		}
		return []any{f.Choices[s.r.IntN(len(f.Choices))].Name}
	case form.Integer, form.Range:
		return int64(1 + s.r.IntN(200))
	case form.Decimal:
		return math.Round(s.r.Float64()*400) / 4
	case form.DateOnly:
		return s.wall.AddDate(0, 0, s.r.IntN(60)).Format(time.DateOnly)
	case form.Time:
		return s.wall.Format(time.TimeOnly)
	case form.DateTime:
		return s.wall.Format(time.RFC3339)
	case form.Acknowledge:
		return true
	case form.Image, form.Audio, form.Video, form.File:
		return fmt.Sprintf("ph-%d-%d", 101+s.r.IntN(6), 1+s.r.IntN(200))
	case form.Text, form.Barcode:
		return s.text(f)
	default:
		return nil
	}
}

// choice answers as the sheet stores it.
func (s *Source) choice(f *form.Field) any {
	if len(f.Choices) == 0 {
		return s.id(f.Entity)
	}
	name := f.Choices[s.r.IntN(len(f.Choices))].Name
	switch f.Stored {
	case form.AsInteger:
		var n int64
		if _, err := fmt.Sscan(name, &n); err != nil {
			return nil
		}
		return n
	case form.AsBoolean:
		return name == "true"
	default:
		return name
	}
}

var phrases = []string{
	"黑山口水井需要手压泵", "驿站加备骆驼用药", "老人腿脚不便,下次上门", "羊群已分圈,等检测结果",
	"沙尘大,先不转场", "咨询草畜平衡补贴", "网围栏倒了一段,约三十米", "要买蔬菜和煤气", "耳标掉了两只", "已念公告,听懂了",
}

func (s *Source) text(f *form.Field) any {
	switch {
	case f.Rule == form.ResidentID:
		return residentID(s.r)
	case f.Rule == form.Phone:
		return fmt.Sprintf("154%08d", s.r.IntN(100_000_000))
	case f.Entity != "":
		return s.id(f.Entity)
	default:
		return phrases[s.r.IntN(len(phrases))]
	}
}

// id names an entity of some kind.
func (s *Source) id(kind string) string {
	switch kind {
	case "household":
		return fmt.Sprintf("H-%s-%02d", []string{"NB", "CD"}[s.r.IntN(2)], 1+s.r.IntN(22*s.times))
	case "person":
		return fmt.Sprintf("P%03d", 1+s.r.IntN(122*s.times))
	case "station":
		return fmt.Sprintf("S%d", 1+s.r.IntN(2*s.times))
	case "waypoint":
		return fmt.Sprintf("W%d", s.r.IntN(9))
	case "stock_item":
		return []string{"IT-BAND", "IT-ORS", "IT-IOD", "IT-MASK", "IT-PPE", "IT-SPLINT"}[s.r.IntN(6)]
	case "":
		return ""
	default:
		return fmt.Sprintf("%s-%02d", strings.ToUpper(kind[:min(2, len(kind))]), 1+s.r.IntN(40*s.times))
	}
}

// residentID makes a number of the fictional area 999922 that checks out.
func residentID(r *rand.Rand) string {
	birth := time.Date(1940+r.IntN(60), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
	s := fmt.Sprintf("999922%s%03d", birth.Format("20060102"), r.IntN(1000))
	sum := 0
	for i, c := range s {
		sum += int(c-'0') * (1 << (17 - i) % 11)
	}
	return s + string("10X98765432"[sum%11])
}
