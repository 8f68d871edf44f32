package form

import "strconv"

// Kind is a question's type, by its XLSForm name.
type Kind uint8

// The kinds, with the Go type of an answer.
const (
	Text           Kind = iota + 1 // string
	Integer                        // int64
	Decimal                        // float64 or int64
	Range                          // float64 or int64
	SelectOne                      // string, int64 or bool, see [Stored]
	SelectMultiple                 // []any of string
	Rank                           // []any of string, first choice first
	DateOnly                       // string, 2006-01-02
	Time                           // string, 15:04:05 with optional fraction and zone
	DateTime                       // string, RFC 3339
	Geopoint                       // map[string]any: lon, lat (degrees, WGS84), acc_m, alt_m, datum, source
	Image                          // string: the name of a photo
	Audio                          // string: the name of a recording
	Video                          // string: the name of a recording
	File                           // string: the name of a file
	Barcode                        // string
	Note                           // no answer
	Calculate                      // string, int64, float64 or bool
	Hidden                         // string, int64, float64 or bool
	Acknowledge                    // bool
	Group                          // map[string]any
	Repeat                         // []any of map[string]any
)

var kindNames = [...]string{
	Text: "text", Integer: "integer", Decimal: "decimal", Range: "range", SelectOne: "select_one",
	SelectMultiple: "select_multiple", Rank: "rank", DateOnly: "date", Time: "time", DateTime: "dateTime",
	Geopoint: "geopoint", Image: "image", Audio: "audio", Video: "video", File: "file", Barcode: "barcode",
	Note: "note", Calculate: "calculate", Hidden: "hidden", Acknowledge: "acknowledge",
	Group: "begin_group", Repeat: "begin_repeat",
}

var kindByName = func() map[string]Kind {
	m := make(map[string]Kind, len(kindNames))
	for k, n := range kindNames {
		if n != "" {
			m[n] = Kind(k)
		}
	}
	return m
}()

// ParseKind reads an XLSForm type without its list name.
func ParseKind(s string) (Kind, bool) {
	k, ok := kindByName[s]
	return k, ok
}

// KindNames lists the XLSForm types that are understood.
func KindNames() []string { return append([]string(nil), kindNames[1:]...) }

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k > 0 && int(k) < len(kindNames) }

// Selects reports whether answers come from a list of choices.
func (k Kind) Selects() bool { return k == SelectOne || k == SelectMultiple || k == Rank }

// Nests reports whether k holds further fields.
func (k Kind) Nests() bool { return k == Group || k == Repeat }

func (k Kind) String() string {
	if !k.Valid() {
		return "kind" + strconv.Itoa(int(k))
	}
	return kindNames[k]
}

// Stored says how the answer to a select_one is kept.
type Stored uint8

// The ways to keep a choice.
const (
	AsText    Stored = iota // the choice's name
	AsInteger               // choices are named by whole numbers: int64
	AsBoolean               // choices are named true and false: bool
)

func (s Stored) String() string { return [...]string{"text", "integer", "boolean"}[min(s, AsBoolean)] }

// ParseStored reads "text", "integer" or "boolean"; "" is text.
func ParseStored(s string) (Stored, bool) {
	switch s {
	case "", "text":
		return AsText, true
	case "integer":
		return AsInteger, true
	case "boolean":
		return AsBoolean, true
	}
	return 0, false
}

// Allows reports whether a choice of that name can be kept so.
func (s Stored) Allows(name string) bool {
	switch s {
	case AsInteger:
		n, err := strconv.ParseInt(name, 10, 64)
		return err == nil && strconv.FormatInt(n, 10) == name
	case AsBoolean:
		return name == "true" || name == "false"
	default:
		return name != ""
	}
}

// Rule is a check of a text answer beyond its type. Its findings are warnings
// on the device; the hub sets the record aside.
type Rule uint8

// The rules.
const (
	NoRule     Rule = iota
	ResidentID      // a resident identity number, see [CheckResidentID]
	Phone           // a mobile telephone number, see [CheckPhone]
)

func (r Rule) String() string { return [...]string{"", "resident_id", "phone"}[min(r, Phone)] }

// ParseRule reads "resident_id" or "phone"; "" is no rule.
func ParseRule(s string) (Rule, bool) {
	switch s {
	case "":
		return NoRule, true
	case "resident_id":
		return ResidentID, true
	case "phone":
		return Phone, true
	}
	return 0, false
}
