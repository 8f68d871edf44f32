package rules

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Reader finds entities as they are shown: fields by name, with values nil, bool,
// int64, float64, string and []any. The fields are the reader's own and are not changed.
type Reader interface {
	// Entity gives one entity. ok is false for one that is not known.
	Entity(typ, id string) (fields map[string]any, ok bool)
	// Where lists the entities of a type whose field has a value, by id.
	Where(typ, field string, value any) iter.Seq2[string, map[string]any]
	// All lists the entities of a type by id.
	All(typ string) iter.Seq2[string, map[string]any]
}

// book is a [Reader] as expressions see it, for one working out.
type book struct {
	set   *Set
	read  Reader
	today string
	only  map[string]bool              // the types whose derived values are wanted; nil: all
	done  map[[2]string]map[string]any // type and id: fields with derived values
	errs  map[[2]string]error          // type and id: the first of its expressions that failed
}

var bookType = cel.OpaqueType("book")

// The methods that make a book a value of CEL.
func (b *book) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("a book is no value")
}
func (b *book) ConvertToType(ref.Type) ref.Val { return types.NewErr("a book is no value") }
func (b *book) Equal(o ref.Val) ref.Val        { return types.Bool(b == o) }
func (b *book) Type() ref.Type                 { return bookType }
func (b *book) Value() any                     { return b }

// entity gives an entity's fields, derived ones among them, null where there is
// no value.
func (b *book) entity(typ, id string) map[string]any {
	key := [2]string{typ, id}
	if got, ok := b.done[key]; ok {
		return got
	}
	fields, _ := b.read.Entity(typ, id)
	return b.complete(typ, id, fields)
}

// complete adds derived values and nulls to an entity's fields.
func (b *book) complete(typ, id string, fields map[string]any) map[string]any {
	key := [2]string{typ, id}
	if got, ok := b.done[key]; ok {
		return got
	}
	out := make(map[string]any, len(fields)+4)
	for _, name := range b.set.fields[typ] {
		out[name] = nil
	}
	for k, v := range fields {
		out[k] = plain(v)
	}
	out["id"] = id
	b.done[key] = out
	if b.only != nil && !b.only[typ] {
		return out
	}
	for _, d := range b.set.derived[typ] { // in an order in which each has what it needs
		v, err := d.program.run(b, map[string]any{"entity": out, "today": b.today})
		if err != nil && b.errs[key] == nil {
			b.errs[key] = err
		}
		out[d.Field] = v
	}
	return out
}

func (b *book) one(typ, field string, value any) map[string]any {
	if b.set.isDerived(typ, field) {
		for id, fields := range b.read.All(typ) {
			if got := b.complete(typ, id, fields); same(got[field], value) {
				return got
			}
		}
		return b.entity(typ, "")
	}
	for id, fields := range b.read.Where(typ, field, value) {
		return b.complete(typ, id, fields)
	}
	return b.entity(typ, "")
}

// sum adds up; an entity without a number there makes the sum unknown.
func (b *book) sum(typ, field string, value any, add string) (float64, error) {
	total := 0.0
	for id, fields := range b.read.Where(typ, field, value) {
		switch v := b.complete(typ, id, fields)[add].(type) {
		case float64:
			total += v
		case nil:
			return 0, fmt.Errorf("%s of %s %s is not known", add, typ, id)
		default:
			return 0, fmt.Errorf("%s of %s %s is no number", add, typ, id)
		}
	}
	// Sums of decimal fractions are shown to people: without this, 0.1 + 0.2.
	return math.Round(total*1e6) / 1e6, nil
}

// nearest is the id of the entity of a type that lies closest within so many metres; "" for none.
func (b *book) nearest(typ string, lon, lat, within float64) string {
	best, at := "", within
	for id, f := range b.read.All(typ) {
		x, okX := plain(f["lon"]).(float64)
		y, okY := plain(f["lat"]).(float64)
		if d := Metres(lon, lat, x, y); okX && okY && d <= at {
			best, at = id, d
		}
	}
	return best
}

// gcj is the id of an entity of a type whose GCJ-02 image lies within near metres
// of a place, while no entity of it lies within far metres. "" for none.
func (b *book) gcj(typ string, lon, lat, near, far float64) string {
	found := ""
	for id, f := range b.read.All(typ) {
		x, okX := plain(f["lon"]).(float64)
		y, okY := plain(f["lat"]).(float64)
		if !okX || !okY || math.Abs(lon-x) > gcjMost+near/metresOfDegree || math.Abs(lat-y) > gcjMost+near/metresOfDegree {
			continue
		}
		if gx, gy := GCJ02(x, y); Metres(lon, lat, gx, gy) <= near && Metres(lon, lat, x, y) > far {
			found = id
		}
	}
	return found
}

// gcjMost is more than GCJ-02 moves any place, in degrees of either axis: within
// China that is at most some 0.012. metresOfDegree is less than a degree of longitude
// has up to the northernmost of China, at 54 degrees.
const (
	gcjMost        = 0.03
	metresOfDegree = 60_000
)

// plain makes every number a double.
func plain(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = plain(x)
		}
		return out
	}
	return v
}

func same(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

// native turns a value of CEL into one of this package.
func native(v ref.Val) (any, error) {
	switch x := v.Value().(type) {
	case nil, bool, string, float64:
		return x, nil
	case int64:
		return float64(x), nil
	case uint64:
		return float64(x), nil
	case time.Time:
		return x.UTC().Format(time.RFC3339), nil
	}
	if v.Type() == types.NullType {
		return nil, nil
	}
	return nil, fmt.Errorf("the answer is a %s: only text, numbers, yes or no and null are kept", v.Type().TypeName())
}

func text(v ref.Val) string { s, _ := v.Value().(string); return s }

func number(v ref.Val) float64 {
	switch x := v.Value().(type) {
	case float64:
		return x
	case int64:
		return float64(x)
	}
	return math.NaN()
}

// functions are what expressions may call beside CEL's own.
func functions() []cel.EnvOption {
	str, dyn, dbl := cel.StringType, cel.DynType, cel.DoubleType
	fields := cel.MapType(str, dyn)
	method := func(name string, out *cel.Type, in []*cel.Type, do func(b *book, a []ref.Val) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload("book_"+name, append([]*cel.Type{bookType}, in...), out,
			cel.FunctionBinding(func(a ...ref.Val) ref.Val { return do(a[0].(*book), a[1:]) })))
	}
	free := func(name string, out *cel.Type, in []*cel.Type, do func(a []ref.Val) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.Overload(name+"_", in, out, cel.FunctionBinding(func(a ...ref.Val) ref.Val { return do(a) })))
	}
	adapt := types.DefaultTypeAdapter.NativeToValue
	return []cel.EnvOption{
		method("entity", fields, []*cel.Type{str, dyn}, func(b *book, a []ref.Val) ref.Val { return adapt(b.entity(text(a[0]), text(a[1]))) }),
		method("one", fields, []*cel.Type{str, str, dyn}, func(b *book, a []ref.Val) ref.Val {
			return adapt(b.one(text(a[0]), text(a[1]), a[2].Value()))
		}),
		method("sum", dbl, []*cel.Type{str, str, dyn, str}, func(b *book, a []ref.Val) ref.Val {
			v, err := b.sum(text(a[0]), text(a[1]), a[2].Value(), text(a[3]))
			if err != nil {
				return types.WrapErr(err)
			}
			return types.Double(v)
		}),
		method("nearest", str, []*cel.Type{str, dyn, dyn, dbl}, func(b *book, a []ref.Val) ref.Val {
			return types.String(b.nearest(text(a[0]), number(a[1]), number(a[2]), number(a[3])))
		}),
		method("gcj", str, []*cel.Type{str, dyn, dyn, dbl, dbl}, func(b *book, a []ref.Val) ref.Val {
			return types.String(b.gcj(text(a[0]), number(a[1]), number(a[2]), number(a[3]), number(a[4])))
		}),
		free("days", dbl, []*cel.Type{dyn, dyn}, func(a []ref.Val) ref.Val {
			from, ok := parseDay(text(a[0]))
			to, ok2 := parseDay(text(a[1]))
			if !ok || !ok2 {
				return types.NewErr("days(from, to) needs two dates")
			}
			return types.Double(to.Sub(from) / day)
		}),
		free("months_after", str, []*cel.Type{dyn, dyn}, func(a []ref.Val) ref.Val {
			t, ok := parseDay(text(a[0]))
			n := number(a[1])
			if !ok || n != math.Trunc(n) || math.Abs(n) > 12_000 {
				return types.NewErr("months_after(date, months) needs a date and a whole number")
			}
			return types.String(addMonths(t, int(n)).Format(time.DateOnly))
		}),
		free("last_counted", dyn, []*cel.Type{dyn, dbl}, lastCountedOf),
		free("part", str, []*cel.Type{dyn, str}, func(a []ref.Val) ref.Val {
			re, err := regexp.Compile(text(a[1]))
			if err != nil {
				return types.WrapErr(err)
			}
			return types.String(re.FindString(text(a[0])))
		}),
		free("round", dbl, []*cel.Type{dyn, dbl}, func(a []ref.Val) ref.Val {
			scale := math.Pow(10, number(a[1]))
			return types.Double(math.Round(number(a[0])*scale) / scale)
		}),
	}
}

func lastCountedOf(a []ref.Val) ref.Val {
	var days []string
	list, _ := a[0].Value().([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			days = append(days, s)
		}
	}
	last, ok := lastCounted(days, int(number(a[1])))
	if !ok {
		return types.NullValue
	}
	return types.String(last)
}

// Rows is a [Reader] over entities in memory, by type and id.
type Rows map[string]map[string]map[string]any

// Entity implements [Reader].
func (r Rows) Entity(typ, id string) (map[string]any, bool) {
	f, ok := r[typ][id]
	return f, ok
}

// All implements [Reader].
func (r Rows) All(typ string) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for _, id := range slices.Sorted(maps.Keys(r[typ])) {
			if !yield(id, r[typ][id]) {
				return
			}
		}
	}
}

// Where implements [Reader].
func (r Rows) Where(typ, field string, value any) iter.Seq2[string, map[string]any] {
	return func(yield func(string, map[string]any) bool) {
		for id, f := range r.All(typ) {
			if same(f[field], value) && !yield(id, f) {
				return
			}
		}
	}
}
