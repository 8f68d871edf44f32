package console

import (
	"net/http"
	"strconv"
)

// takeItem notes that whoever asks looks at an item.
func (s *site) takeItem(w http.ResponseWriter, r *http.Request) {
	s.own(w, r, func(id int64) error { return s.Queue.Take(r.Context(), id, r.PostFormValue("from")) })
}

// releaseItem gives it back.
func (s *site) releaseItem(w http.ResponseWriter, r *http.Request) {
	s.own(w, r, func(id int64) error { return s.Queue.Release(r.Context(), id) })
}

func (s *site) own(w http.ResponseWriter, r *http.Request, change func(id int64) error) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		s.pages.Refuse(w, r, http.StatusNotFound, "notfound")
		return
	}
	if err := change(id); err != nil {
		trouble, status := s.trouble(r, err)
		s.showItem(w, r, status, itemView{Trouble: trouble})
		return
	}
	http.Redirect(w, r, "/queue/"+strconv.FormatInt(id, 10), http.StatusSeeOther)
}
