package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"otor/internal/webui"
)

// Packs publishes form packs.
type Packs interface {
	// List gives the versions, the one that the program came with first.
	List(ctx context.Context, lang string) ([]PackRow, error)
	// Check looks through a pack in a zip as publishing it would; Publish makes it the one
	// by which new records go, at once, and says how many entries that had waited for its
	// forms are judged now. Refusals: bad_request, bad_pack (a line for each fault, with
	// file and line), pack_exists, no_packs.
	Check(ctx context.Context, zip []byte) (PackRow, error)
	Publish(ctx context.Context, zip []byte) (row PackRow, replayed int, err error)
}

// PackRow is a version of a pack.
type PackRow struct {
	ID, Title, By, ApprovedBy string
	Version                   uint32
	PublishedAt               time.Time // zero: the program came with it
	Forms, Devices            int       // Devices that said that they work by it
	Current                   bool      // new records go by it
}

// MaxPack bounds an uploaded pack in bytes; no hub takes a larger one.
const MaxPack = 8 << 20

var packsPage = webui.NewTemplate(files, "packs.html", "nav.html")

type packsView struct {
	Frame
	Packs   []packView
	Trouble string
	Faults  []string
	Done    string
	Fixed   bool
}

type packView struct {
	PackRow
	Number, Where, FormsNum, DevicesNum string
}

func (s *site) packs(w http.ResponseWriter, r *http.Request) {
	s.showPacks(w, r, http.StatusOK, packsView{})
}

func (s *site) showPacks(w http.ResponseWriter, r *http.Request, status int, v packsView) {
	v.Frame = s.frame(r, "/packs")
	v.Still = true
	v.title(v.Words.T("menu.packs"))
	list, err := s.Packs.List(r.Context(), v.Words.Lang)
	if _, fixed := errors.AsType[*webui.Refusal](err); fixed {
		v.Fixed = true // nothing can be published here
	} else if err != nil {
		v.Trouble, status = s.trouble(r, err)
	}
	for _, p := range list {
		row := packView{
			PackRow: p, Number: v.Words.Num(uint64(p.Version)), Where: v.Words.T("pack.built_in"),
			FormsNum: v.Words.Num(uint64(p.Forms)), DevicesNum: v.Words.Num(uint64(p.Devices)), //nolint:gosec // lengths
		}
		if !p.PublishedAt.IsZero() {
			row.Where = v.Words.T("pack.published", "at", v.Words.Clock(v.Now, p.PublishedAt), "by", whoWords(v.Words, p.By))
		}
		v.Packs = append(v.Packs, row)
	}
	webui.Render(w, packsPage, status, v, s.Log)
}

// takePack checks an uploaded pack, or publishes it.
func (s *site) takePack(publish bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var v packsView
		file, err := upload(r, "file", MaxPack)
		var row PackRow
		var replayed int
		switch {
		case err != nil:
		case publish:
			row, replayed, err = s.Packs.Publish(r.Context(), file)
		default:
			row, err = s.Packs.Check(r.Context(), file)
		}
		if err != nil {
			trouble, status := s.trouble(r, err)
			v.Trouble = trouble
			if no, ok := errors.AsType[*webui.Refusal](err); ok && no.Code == "bad_pack" {
				for line := range strings.SplitSeq(no.What, "\n") {
					v.Faults = append(v.Faults, faultWords(s.words(r), line))
				}
			}
			s.showPacks(w, r, status, v)
			return
		}
		words, key := s.words(r), "pack.fine"
		if publish {
			key = "pack.done"
		}
		v.Done = words.T(key, "id", row.ID, "version", row.Version, "n", replayed)
		s.showPacks(w, r, http.StatusOK, v)
	}
}
