package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"otor/internal/webui"
)

// Photos are pictures and files that records name.
type Photos interface {
	// Photos lists those that a reader sees, the newest first. Refusal: bad_request.
	Photos(ctx context.Context, q PhotoQuery) (PhotoPage, error)
}

// PhotoQuery chooses photos; empty fields do not restrict.
type PhotoQuery struct {
	Record string // a dot
	Team   string // a scope of devices, such as team:T1
	Day    string // 2006-01-02, on which the hub heard of it
	Before int64  // goes on behind [PhotoPage.Next]
	Most   int
	Lang   string
}

// PhotoPage is a piece of the list.
type PhotoPage struct {
	Photos []Photo
	Next   int64    // 0: that is all
	Teams  []Option // that a reader may choose among
}

// Option is a value with words for it.
type Option struct{ Value, Words string }

// Photo is one of them.
type Photo struct {
	ID     string // 64 digits
	Record string // the dot of the first record that names it
	Form   string // in words
	About  string // what the record is about
	Device string
	At     time.Time // when the hub heard of it
	Size   uint64
	Here   bool // all of it; else a preview may be, or nothing yet
	Shown  bool // there is something to look at
}

const photosOnAPage = 24

type photosView struct {
	Frame
	Trouble           string
	Record, Team, Day string
	Teams             []Option
	Photos            []photoView
	Older, Count      string
}

type photoView struct {
	Photo
	Clock, Size, Alt, Small, Whole, ByRecord string
}

var photosPage = webui.NewTemplate(files, "photos.html", "nav.html")

// photoPath is where pictures are, see the API.
const photoPath = "/api/v1/office/photos/"

func (s *site) photos(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	q := PhotoQuery{Record: strings.TrimSpace(form.Get("record")), Team: form.Get("team"), Day: form.Get("day"), Most: photosOnAPage}
	v := photosView{Frame: s.frame(r, "/photos"), Record: q.Record, Team: q.Team, Day: q.Day}
	v.Still = true
	words := v.Words
	q.Lang = words.Lang
	v.Style = s.assets.URL("land.css")
	v.title(words.T("menu.photos"))
	if b := form.Get("before"); b != "" {
		q.Before, _ = strconv.ParseInt(b, 10, 64) // what is no number begins anew
	}
	page, err := s.Photos.Photos(r.Context(), q)
	status := http.StatusOK
	if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	v.Teams = page.Teams
	for _, p := range page.Photos {
		x := photoView{Photo: p, Clock: words.Clock(v.Now, p.At), Size: words.T("photos.kb", "n", words.Num((p.Size+999)/1000))}
		x.Alt = words.T("photos.alt", "form", p.Form, "about", p.About, "at", x.Clock)
		x.Small, x.ByRecord = photoPath+p.ID+"?preview=true", "/photos?record="+url.QueryEscape(p.Record)
		if p.Here {
			x.Whole = photoPath + p.ID
		}
		v.Photos = append(v.Photos, x)
	}
	if page.Next != 0 {
		form.Set("before", strconv.FormatInt(page.Next, 10))
		v.Older = "/photos?" + form.Encode()
	}
	v.Count = words.T("photos.count", "n", int64(len(v.Photos)))
	webui.Render(w, photosPage, status, v, s.Log)
}
