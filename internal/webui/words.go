package webui

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// Words are a program's strings in one language.
type Words struct {
	Lang string // "zh", "mn" or "en", fit for an HTML lang attribute
	// NeedsReader: a native reader has to check them; every page says so.
	NeedsReader bool

	tag     language.Tag
	texts   map[string]text
	tall    map[string]text // labels in the language's other script
	printer *message.Printer
}

// T returns the wording of key. args are pairs of a name and a value, which
// replace {name}; numbers are written as the language writes them, and the one
// called "n" chooses the plural. An unknown key shows itself in brackets.
func (w *Words) T(key string, args ...any) string {
	t, ok := w.texts[key]
	if !ok {
		return "[" + key + "]"
	}
	s := t.other
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		name, _ := args[i].(string)
		if n, isCount := count(args[i+1]); isCount {
			if name == "n" && t.plural && pluralForm(w.tag, n) == plural.One {
				s = t.one
			}
			pairs = append(pairs, "{"+name+"}", w.Num(n))
			continue
		}
		pairs = append(pairs, "{"+name+"}", fmt.Sprint(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// Raw returns the wording of key with its {slots} as they are, for a program
// that fills them on the page. Of a plural it is the general form.
func (w *Words) Raw(key string) string { return w.texts[key].other }

// Tall returns the label of key in the language's traditional script, to be set
// downwards; "" when there is none.
func (w *Words) Tall(key string) string { return w.tall[key].other }

// Has reports whether key stands in the catalogue.
func (w *Words) Has(key string) bool { _, ok := w.texts[key]; return ok }

// count reads any whole number that is not negative.
func count(v any) (uint64, bool) {
	switch v := v.(type) {
	case int:
		return uint64(max(v, 0)), v >= 0
	case int64:
		return uint64(max(v, 0)), v >= 0
	case uint64:
		return v, true
	case uint32:
		return uint64(v), true
	default:
		return 0, false
	}
}

// Num writes a count as the language does.
func (w *Words) Num(n uint64) string { return w.printer.Sprint(n) }

// Decimal writes a number as the language does, with at most so many digits
// after the point.
func (w *Words) Decimal(x float64, digits int) string {
	return w.printer.Sprint(number.Decimal(x, number.MaxFractionDigits(digits)))
}

// Percent writes a share such as 0.115 as the language does: 11.5%.
func (w *Words) Percent(x float64) string {
	return w.printer.Sprint(number.Percent(x, number.MaxFractionDigits(1)))
}

// Clock writes the time of day, and the date before it when t is not on now's
// day. Both are shown in now's zone.
func (w *Words) Clock(now, t time.Time) string {
	t = t.In(now.Location())
	hour := t.Format("15:04")
	y, m, d := t.Date()
	ny, nm, nd := now.Date()
	if y == ny && m == nm && d == nd {
		return hour
	}
	months := strings.Fields(w.T("time.months"))
	month := m.String()
	if len(months) == 12 {
		month = months[m-1]
	}
	key := "time.date"
	if y != ny {
		key = "time.date_year"
	}
	return w.T(key, "d", d, "month", month, "year", t.Format("2006"), "hour", hour)
}

// Ago says how long before now t was: "12 min ago". From a minute ahead of now
// on it says that t lies ahead.
func (w *Words) Ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d <= -time.Minute:
		return w.T("time.ahead", "span", w.Span(-d))
	case d < time.Minute:
		return w.T("time.now")
	default:
		return w.T("time.ago", "span", w.Span(d))
	}
}

// Span writes a length of time in its largest unit, or two where the second
// tells something: "8 s", "47 min", "2 h 10 min", "3 days".
func (w *Words) Span(d time.Duration) string {
	d = d.Abs()
	switch {
	case d < time.Minute:
		return w.T("time.s", "n", int64(d/time.Second))
	case d < time.Hour:
		return w.T("time.min", "n", int64(d/time.Minute))
	case d < 48*time.Hour:
		s := w.T("time.h", "n", int64(d/time.Hour))
		if m := int64(d % time.Hour / time.Minute); m > 0 && d < 10*time.Hour {
			return w.T("time.two", "first", s, "second", w.T("time.min", "n", m))
		}
		return s
	default:
		return w.T("time.days", "n", int64(d/(24*time.Hour)))
	}
}

// langCookie keeps what the reader chose; it proves nothing.
const langCookie = "otor-lang"

// SwitchLang handles POST of a form with "lang" and "back", a path of this
// server: it remembers the language and goes back.
func SwitchLang(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	lang := r.PostFormValue("lang")
	for _, l := range langs {
		if l == lang {
			http.SetCookie(w, &http.Cookie{
				Name: langCookie, Value: lang, Path: "/", MaxAge: 365 * 24 * 3600,
				HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
			})
		}
	}
	http.Redirect(w, r, LocalPath(r.PostFormValue("back")), http.StatusSeeOther)
}

// LocalPath returns p if it names a page of this server, else "/".
func LocalPath(p string) string {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.ContainsAny(p, "\\\r\n\t") {
		return "/"
	}
	return p
}
