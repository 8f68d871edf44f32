package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"otor/hub/export"
	"otor/internal/webui"
)

// The headers by which an export says what it came to.
const (
	rowsHeader   = "Otor-Rows"
	digestHeader = "Otor-Sha256"
)

// files serves what comes in and goes out as files: statements, exports, official lists.
func (o *Office) files(mux *http.ServeMux, bell *webui.Bell) {
	o.statements(mux)
	o.exports(mux)
	o.rosterRoutes(mux, bell)
}

// exports serves POST exports: the answer is the file.
func (o *Office) exports(mux *http.ServeMux) {
	mux.HandleFunc("POST "+officePath+"exports", func(w http.ResponseWriter, r *http.Request) {
		var in ExportOrder
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
			answer(w, nil, &webui.Refusal{Code: "bad_request", What: "the request is not the JSON of an order for an export", Which: err.Error()})
			return
		}
		out, file, err := o.Export(r.Context(), in)
		if err != nil {
			answer(w, nil, err)
			return
		}
		defer func() { _ = file.Close() }() // it was only read
		h := w.Header()
		h.Set("Content-Type", export.Formats[out.Format])
		h.Set("Content-Length", strconv.FormatInt(out.Size, 10))
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", ExportName(in)))
		h.Set("Cache-Control", "no-store")
		h.Set(rowsHeader, strconv.Itoa(out.Rows))
		h.Set(digestHeader, out.Digest)
		if _, err := io.Copy(w, file); err != nil {
			panic(http.ErrAbortHandler) // the client sees the file end before its length
		}
	})
}

// ExportName names an export's file in letters that every system takes.
func ExportName(in ExportOrder) string {
	plain := func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}
	name := "records-" + in.Subject
	if in.Name != "" {
		name += "-" + strings.Map(plain, in.Name)
	}
	return name + in.From.Format("-20060102") + in.Until.Add(-time.Nanosecond).Format("-20060102") + "." + in.Format
}

// Export does what [Office.Export] does.
func (c *Client) Export(ctx context.Context, in ExportOrder) (out Exported, file io.ReadCloser, err error) {
	resp, err := c.do(ctx, http.MethodPost, "exports", nil, in)
	if err != nil {
		return out, nil, err
	}
	out = Exported{Format: in.Format, Digest: resp.Header.Get(digestHeader), Size: resp.ContentLength}
	if out.Rows, err = strconv.Atoi(resp.Header.Get(rowsHeader)); err != nil {
		_ = resp.Body.Close()
		return out, nil, fmt.Errorf("ask the running hub: it does not say how many records it sends")
	}
	return out, resp.Body, nil
}
