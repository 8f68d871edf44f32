package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"otor/hub/access"
	"otor/hub/export"
	"otor/hub/ledger"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/durable"
	"otor/internal/entry"
	"otor/internal/find"
	"otor/internal/form"
	"otor/internal/webui"
)

// kindExport is that records were taken away as a file.
const kindExport = "export"

// exportFact says which records, and as what.
type exportFact struct {
	Filter export.Filter `json:"filter"`
	Format string        `json:"format"`
	Rows   int           `json:"rows"`
	Digest string        `json:"sha256"` // of the file
}

// ExportOrder is what is to be exported: the body of POST exports.
type ExportOrder struct {
	export.Filter
	Format string `json:"format"` // see [export.Formats]
	Lang   string `json:"lang"`   // zh, mn or en
}

// Exported says what an export came to.
type Exported struct {
	Format string `json:"format"`
	Rows   int    `json:"rows"`
	Digest string `json:"sha256"`
	Size   int64  `json:"bytes"`
}

// Export writes the entries that whoever asks sees, and that the order chooses, into a
// file; that they were taken away is recorded before anybody has it. The caller closes
// the file, which is gone then. Refusals: bad_terms, bad_format, no_device, unknown_form, export_long;
// whole_not_allowed and whole_reason when numbers are to stand whole.
func (o *Office) Export(ctx context.Context, in ExportOrder) (out Exported, file io.ReadCloser, err error) {
	devices, err := o.mayExport(ctx, &in)
	if err != nil {
		return out, nil, err
	}
	if err := durable.MkdirAll(filepath.Join(o.dir, exportsFolder), 0o700); err != nil {
		return out, nil, fmt.Errorf("make room for an export: %w", err)
	}
	spool, err := export.NewSpool(filepath.Join(o.dir, exportsFolder), o.asks(in.Lang))
	if err != nil {
		return out, nil, err
	}
	defer func() {
		if unclosed := spool.Close(); unclosed != nil {
			err = errors.Join(err, unclosed)
			if file != nil {
				err, file = errors.Join(err, file.Close()), nil
			}
		}
	}()
	if err := o.gather(ctx, in, devices, spool); err != nil {
		return out, nil, fmt.Errorf("export: %w", err)
	}
	f, err := os.CreateTemp(filepath.Join(o.dir, exportsFolder), "file-")
	if err != nil {
		return out, nil, fmt.Errorf("make room for an export: %w", err)
	}
	taken := &takenFile{f}
	if out, err = o.writeExport(ctx, f, in, spool); err != nil {
		return out, nil, errors.Join(err, taken.Close())
	}
	return out, taken, nil
}

// exportsFolder holds files on their way, in the hub's folder.
const exportsFolder = "exports"

// takenFile is a file that goes with its reader.
type takenFile struct{ *os.File }

func (t *takenFile) Close() error { return errors.Join(t.File.Close(), removed(t.Name())) }

// mayExport completes and checks an order, and gives the devices of a team or a device.
func (o *Office) mayExport(ctx context.Context, in *ExportOrder) (devices []dot.Device, err error) {
	bad := func(what string) error {
		return &webui.Refusal{Code: "bad_terms", What: what, Which: strings.TrimSpace(in.Subject + " " + in.Name), Do: "correct the subject or the period"}
	}
	in.Name, in.Reason = strings.TrimSpace(in.Name), strings.TrimSpace(in.Reason)
	in.From, in.Until = in.From.In(o.zone), in.Until.In(o.zone)
	switch {
	case export.Formats[in.Format] == "":
		return nil, &webui.Refusal{Code: "bad_format", What: "nothing is exported in this format", Which: in.Format, Do: "choose one of " + strings.Join(slices.Sorted(maps.Keys(export.Formats)), ", ")}
	case in.Lang != "zh" && in.Lang != "mn" && in.Lang != "en":
		in.Lang = "zh"
	}
	switch {
	case !in.From.Before(in.Until):
		return nil, bad("the period ends before it begins")
	case in.Whole && !asker(ctx).Role.May(access.Reveal):
		return nil, &webui.Refusal{Code: "whole_not_allowed", What: "your role does not see personal numbers whole", Do: "export them masked, or ask an operator who may"}
	case in.Whole && (in.Reason == "" || utf8.RuneCountInString(in.Reason) > maxRosterReason):
		return nil, &webui.Refusal{Code: "whole_reason", What: "personal numbers stand whole only for a reason, which stays in the ledger", Do: "say why, or export them masked"}
	}
	if !in.Whole {
		in.Reason = ""
	}
	switch in.Subject {
	case "all":
		in.Name = ""
		return nil, nil
	case "form":
		if in.Name == "" {
			return nil, bad("say which form")
		}
		return nil, o.knowsForm(ctx, in.Name)
	case "device":
		seen, err := o.sight(ctx).device(ctx, dot.Device(in.Name))
		if err == nil && seen {
			_, err = o.store.Device(ctx, dot.Device(in.Name))
		}
		if errors.Is(err, store.ErrNotFound) || err == nil && !seen {
			return nil, &webui.Refusal{Code: "no_device", What: "the hub knows no device of this name", Which: in.Name, Do: "see the list of devices"}
		}
		return []dot.Device{dot.Device(in.Name)}, err
	case "team":
		devices, err := o.teamOf(ctx, in.Name)
		if err == nil && len(devices) == 0 {
			err = bad("the team has no devices")
		}
		return devices, err
	}
	return nil, bad("there is no such subject; choose device, team, form or all")
}

// gather puts the entries of an order into a spool.
func (o *Office) gather(ctx context.Context, in ExportOrder, devices []dot.Device, spool *export.Spool) error {
	q := store.EntryQuery{WithRaw: true}
	if len(devices) == 1 {
		q.Device = devices[0]
	}
	sight := o.sight(ctx)
	from, until := in.From.UnixMilli(), in.Until.UnixMilli()
	meant := func(yield func(store.ListedEntry, error) bool) {
		for e, err := range o.store.Entries(ctx, q) {
			if err == nil && (e.CorrectedTime < from || e.CorrectedTime >= until || in.Subject == "form" && e.Form != in.Name || len(devices) > 0 && !slices.Contains(devices, e.Dot.Device)) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
	for e, err := range sight.entries(ctx, meant) {
		if err != nil {
			return err
		}
		if spool.Count() == export.MaxRows {
			return exportLong(export.MaxRows)
		}
		if err := spool.Add(o.exported(&e, in)); err != nil {
			return err
		}
	}
	return nil
}

func exportLong(most int) error {
	return &webui.Refusal{Code: "export_long", What: fmt.Sprintf("there are more records than such a file holds (%d)", most), Do: "choose a shorter period, or another format"}
}

// exported is an entry as a row.
func (o *Office) exported(e *store.ListedEntry, in ExportOrder) export.Row {
	r := export.Row{
		Entry: e.Dot.String(), Form: e.Form, Version: e.FormVersion, Actor: e.Actor, DeviceAt: o.at(e.DeviceTime), At: o.at(e.CorrectedTime), ReceivedAt: o.at(e.ReceivedAt),
		Via: string(e.Via), Verdict: string(e.Judgement.Verdict), Code: e.Judgement.Code, Words: e.Judgement.Words, Answers: []export.Answer{},
	}
	if e.Entity != "" {
		r.Entity = entry.Ref{Type: e.EntityType, ID: e.Entity}.String()
	}
	if pub, err := entry.DecodePublic(e.Raw.Public); err == nil { // an entry that cannot be read is set aside for that
		r.Position = pub.Position
	}
	if !in.Whole { // what an operator wrote when it was returned
		r.Words = find.Hide(r.Words)
	}
	if e.Raw.Erased() {
		return r
	}
	priv, err := entry.DecodePrivate(e.Raw.Private)
	f, formErr := o.forms.Form(e.Form, e.FormVersion)
	if err != nil || formErr != nil {
		return r // nobody can say what of it is a personal number
	}
	mask := o.maskOf(f)
	if in.Whole {
		mask = func(*form.Field) string { return wholeMask }
	}
	answered(f.Fields, "", priv.Fields, in.Lang, mask, func(a export.Answer) { r.Answers = append(r.Answers, a) })
	return r
}

// answered gives the answers of a level of questions, those of groups named
// group.question.
func answered(asked []form.Field, prefix string, fields map[string]any, lang string, mask func(*form.Field) string, put func(export.Answer)) {
	for i := range asked {
		x := &asked[i]
		v, ok := fields[x.Name]
		if !ok || v == nil || x.Kind == form.Hidden || x.Kind == form.Note {
			continue
		}
		if inner, ok := v.(map[string]any); ok && x.Kind == form.Group {
			answered(x.Fields, prefix+x.Name+".", inner, lang, mask, put)
			continue
		}
		a := export.Answer{Name: prefix + x.Name, Value: v}
		if inner, ok := v.([]any); ok && x.Kind == form.Repeat {
			a.Value = maskedRows(x, inner, mask)
		} else {
			a.Value = maskedAnswer(v, mask(x))
		}
		a.Text = answerText(x, a.Value, lang)
		put(a)
	}
}

// wholeMask is the mask of an export with everything whole.
const wholeMask = "whole"

// maskedAnswer masks an answer; of one without a mask the numbers of persons that may
// be in it.
func maskedAnswer(v any, mask string) any {
	if mask == wholeMask {
		return v
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = maskedAnswer(x, mask)
		}
		return out
	case map[string]any:
		if mask != "" {
			break
		}
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[name] = maskedAnswer(x, mask)
		}
		return out
	}
	text := textOf(v)
	if mask != "" {
		return masked(text, mask)
	}
	switch x := v.(type) {
	case string, int64, uint64:
	case float64:
		if x != math.Trunc(x) { // a measure
			return v
		}
	default:
		return v
	}
	if hidden := find.Hide(text); hidden != text {
		return hidden
	}
	return v
}

// maskedRows masks within the rows of a repeat. What a row has that nobody asked for is
// masked as an answer to any question.
func maskedRows(x *form.Field, rows []any, mask func(*form.Field) string) []any {
	out := make([]any, 0, len(rows))
	for _, row := range rows {
		m, ok := row.(map[string]any)
		if !ok {
			continue
		}
		m = maps.Clone(m)
		for name, v := range m {
			if v == nil {
				continue
			}
			inner := &form.Field{Name: name}
			if i := slices.IndexFunc(x.Fields, func(f form.Field) bool { return f.Name == name }); i >= 0 {
				inner = &x.Fields[i]
			}
			nested, isRows := v.([]any)
			group, isGroup := v.(map[string]any)
			switch {
			case isRows && inner.Kind == form.Repeat:
				m[name] = maskedRows(inner, nested, mask)
			case isGroup && inner.Kind == form.Group:
				m[name] = maskedRows(inner, []any{group}, mask)[0]
			default:
				m[name] = maskedAnswer(v, mask(inner))
			}
		}
		out = append(out, m)
	}
	return out
}

// asks says what forms ask, in a language: the newest of the versions first.
func (o *Office) asks(lang string) func(id string, versions []uint32) export.Form {
	return func(id string, versions []uint32) export.Form {
		out := export.Form{ID: id, Title: id}
		for _, v := range slices.Backward(versions) {
			f, err := o.forms.Form(id, v)
			if err != nil {
				continue
			}
			if out.Title == id && f.Title.In(lang) != "" {
				out.Title = f.Title.In(lang)
			}
			questions(f.Fields, "", lang, func(q export.Question) {
				if !slices.ContainsFunc(out.Questions, func(had export.Question) bool { return had.Name == q.Name }) {
					out.Questions = append(out.Questions, q)
				}
			})
		}
		return out
	}
}

func questions(asked []form.Field, prefix, lang string, put func(export.Question)) {
	for i := range asked {
		x := &asked[i]
		if x.Kind == form.Hidden || x.Kind == form.Note {
			continue
		}
		if x.Kind == form.Group {
			questions(x.Fields, prefix+x.Name+".", lang, put)
			continue
		}
		q := export.Question{Name: prefix + x.Name, Label: x.Label.In(lang), Number: !x.Many && x.Rule == form.NoRule && (x.Kind == form.Integer || x.Kind == form.Decimal || x.Kind == form.Range)}
		if q.Label == "" {
			q.Label = q.Name
		}
		put(q)
	}
}

// writeExport writes a spool into a file, records that it is taken away, and has the file
// stand at its beginning.
func (o *Office) writeExport(ctx context.Context, f *os.File, in ExportOrder, spool *export.Spool) (Exported, error) {
	head := export.Head{Filter: in.Filter, Hub: o.hubKey.String(), At: o.now().In(o.zone), By: actor(ctx), Rows: spool.Count()}
	sum := sha256.New()
	err := export.Write(io.MultiWriter(f, sum), in.Format, in.Lang, head, spool)
	if errors.Is(err, export.ErrLong) {
		return Exported{}, exportLong(export.MaxPaper)
	}
	if err != nil {
		return Exported{}, fmt.Errorf("write an export: %w", err)
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return Exported{}, fmt.Errorf("write an export: %w", err)
	}
	out := Exported{Format: in.Format, Rows: head.Rows, Digest: hex.EncodeToString(sum.Sum(nil)), Size: size}
	_, err = o.ledger.Record(ctx, ledger.Act{
		By: actor(ctx), Kind: kindExport, Subject: strings.TrimSpace(in.Subject + " " + in.Name), Body: exportFact{in.Filter, in.Format, out.Rows, out.Digest},
	}, nil)
	return out, err
}
