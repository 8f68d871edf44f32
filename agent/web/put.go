package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"
)

const (
	// MaxLine is the longest line that PutLines takes, in bytes without its end.
	MaxLine = 1 << 20
	// mostInFlight lines wait for the store together, so that it can commit them
	// in one go; mostBytes bounds what they take up, since small devices run this.
	mostInFlight = 64
	mostBytes    = 4 << 20
)

// saved is the answer to a line that became durable.
type saved struct {
	Line int `json:"line"` // from 1
	PutResult
}

// refused is the answer to a line that was turned down.
type refused struct {
	Line  int      `json:"line"`
	Error *Refusal `json:"error"`
}

// outcome is what became of a line.
type outcome struct {
	line int
	res  PutResult
	err  error // a *Refusal, or the store's failure
}

// PutLines saves the records of an NDJSON stream and answers line by line, in
// the order of the input: {"line","dot","saved_at"} on out once durable,
// {"line","error"} on refusals.
//
// A line is the form's answers as a JSON object, for the form that defaults
// names; or {"form","entity","user","at","fields":{...}}, where what is absent
// comes from defaults. Empty lines are skipped, but counted. Lines are
// independent: one that is malformed, longer than [MaxLine] or turned down by
// the device does not stop the next. Many wait for the store at once.
//
// It returns how many were saved and refused, and an error if the input broke
// off, an answer could not be written, or the store failed; what was saved by
// then stays saved. It does not wait for a reader that blocks after ctx ended.
func PutLines(ctx context.Context, device Device, in io.Reader, out, refusals io.Writer, defaults PutRequest) (savedCount, refusedCount int, err error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	p := &putLoop{
		ctx: ctx, device: device, defaults: defaults,
		queue: make(chan chan outcome, mostInFlight-1), bytes: semaphore.NewWeighted(mostBytes),
		out: bufio.NewWriter(out), refusals: bufio.NewWriter(refusals),
	}
	go p.read(reading, in)
	err = p.answer(reading, stop)
	return p.saved, p.refused, errors.Join(err, p.flush())
}

// putLoop is one PutLines call. read owns the input, answer everything else.
type putLoop struct {
	ctx      context.Context // of the whole call: lines on their way outlive the reading
	device   Device
	defaults PutRequest
	queue    chan chan outcome // in the order of the input; each gets one outcome
	bytes    *semaphore.Weighted

	out, refusals  *bufio.Writer
	saved, refused int
}

// read turns lines into outcomes to come, until the input or ctx (the reading's) ends.
func (p *putLoop) read(ctx context.Context, in io.Reader) {
	defer close(p.queue)
	lines := lineReader{r: bufio.NewReaderSize(in, 64<<10)}
	for {
		text, tooLong, err := lines.next()
		if ctx.Err() != nil || errors.Is(err, io.EOF) {
			return
		}
		if len(text) == 0 && !tooLong && err == nil {
			continue
		}
		c := make(chan outcome, 1)
		select {
		case p.queue <- c:
		case <-ctx.Done():
			return
		}
		o := outcome{line: lines.line}
		if err != nil {
			o.err = fmt.Errorf("read line %d: %w", lines.line, err)
			c <- o
			return
		}
		if tooLong {
			o.err = &Refusal{Code: "too_large", What: "the line is longer than 1 MiB", Which: fmt.Sprintf("line %d", o.line), Do: "send photos and files apart, and split the record"}
			c <- o
			continue
		}
		req, refusal := parseLine(text, p.defaults)
		if refusal != nil {
			if refusal.Which == "" {
				refusal.Which = fmt.Sprintf("line %d", o.line)
			}
			o.err = refusal
			c <- o
			continue
		}
		weight := int64(len(text))
		if err := p.bytes.Acquire(ctx, weight); err != nil {
			o.err = err
			c <- o
			return
		}
		wait := p.device.Begin(p.ctx, req)
		go func() {
			defer p.bytes.Release(weight)
			o.res, o.err = wait()
			c <- o
		}()
	}
}

// answer writes outcomes in order. After the first failure it stops the
// reading, but still waits for what is on its way to the store and answers it.
func (p *putLoop) answer(ctx context.Context, stop func()) error {
	var failed error
	for {
		c, ok := p.take(ctx)
		if !ok {
			if failed == nil {
				failed = ctx.Err()
			}
			return failed
		}
		var o outcome
		select {
		case o = <-c:
		default: // the store takes its time: let the answers so far go out
			if err := p.flush(); err != nil && failed == nil {
				failed = err
				stop()
			}
			o = <-c
		}
		if err := p.write(o); err != nil && failed == nil {
			failed = err
			stop()
		}
	}
}

// take returns the next line's outcome to come; false at the end. Once ctx has
// ended it takes what is queued and does not wait for more.
func (p *putLoop) take(ctx context.Context) (chan outcome, bool) {
	select {
	case c, ok := <-p.queue:
		return c, ok
	default:
	}
	if err := p.flush(); err != nil {
		return nil, false // the caller's own flush meets the same error again
	}
	select {
	case c, ok := <-p.queue:
		return c, ok
	case <-ctx.Done():
		select {
		case c, ok := <-p.queue:
			return c, ok
		default:
			return nil, false
		}
	}
}

// write answers one line. It returns the failures that end the stream. The
// two writers may lead to one place, so neither overtakes the other.
func (p *putLoop) write(o outcome) error {
	if o.err == nil {
		p.saved++
		return errors.Join(p.refusals.Flush(), writeLine(p.out, saved{o.line, o.res}))
	}
	if refusal, ok := errors.AsType[*Refusal](o.err); ok {
		p.refused++
		return errors.Join(p.out.Flush(), writeLine(p.refusals, refused{o.line, refusal}))
	}
	return fmt.Errorf("put line %d: %w", o.line, o.err)
}

func (p *putLoop) flush() error {
	return errors.Join(p.out.Flush(), p.refusals.Flush())
}

func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// lineReader reads lines in bounded memory.
type lineReader struct {
	r    *bufio.Reader
	line int // of the line last returned, from 1
}

// next returns a line without surrounding white space, which the caller may
// keep; or that it was too long, having skipped it. The last line needs no end,
// unless the input broke off: then it is not a line.
func (l *lineReader) next() (text []byte, tooLong bool, err error) {
	l.line++
	size := 0
	for {
		part, err := l.r.ReadSlice('\n')
		size += len(bytes.TrimRight(part, "\r\n"))
		if size > MaxLine {
			text, tooLong = nil, true
		} else {
			text = append(text, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && size > 0, err == nil:
			if l.line == 1 {
				text = bytes.TrimPrefix(text, []byte("\ufeff"))
			}
			return bytes.TrimSpace(text), tooLong, nil
		default:
			return nil, false, err
		}
	}
}

// envelopeKeys are the keys of a line that names its form itself.
var envelopeKeys = []string{"form", "entity", "user", "at", "fields"}

// parseLine reads one line over the defaults.
func parseLine(text []byte, defaults PutRequest) (PutRequest, *Refusal) {
	if !utf8.Valid(text) {
		return PutRequest{}, &Refusal{Code: "bad_json", What: "the line is not UTF-8 text", Do: "save the file as UTF-8 and send the line again"}
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return PutRequest{}, &Refusal{Code: "bad_json", What: "the line is not a JSON object: " + jsonTrouble(err), Do: "mend the line and send it again; the other lines are not affected"}
	}
	if keys == nil {
		return PutRequest{}, &Refusal{Code: "bad_json", What: "the line is null, not a JSON object", Do: "send the form's answers as {\"name\": value, ...}"}
	}
	req := defaults
	if !isEnvelope(keys, defaults.Form == "") {
		req.Fields = text
	} else if refusal := readEnvelope(keys, &req); refusal != nil {
		return PutRequest{}, refusal
	}
	if req.Form == "" {
		return PutRequest{}, &Refusal{Code: "form_missing", What: "the line does not say which form it answers", Do: "give --form, or send {\"form\": ..., \"fields\": {...}}"}
	}
	return req, nil
}

// isEnvelope tells {"form":..., "fields":{...}} from bare answers: it has
// nothing but envelope keys, and fields that are an object (or, with no form
// given from outside, at least a form).
func isEnvelope(keys map[string]json.RawMessage, formNeeded bool) bool {
	for k := range keys {
		if !slices.Contains(envelopeKeys, k) {
			return false
		}
	}
	fields, hasFields := keys["fields"]
	if hasFields {
		return bytes.HasPrefix(fields, []byte("{"))
	}
	_, hasForm := keys["form"]
	return hasForm && formNeeded
}

func readEnvelope(keys map[string]json.RawMessage, req *PutRequest) *Refusal {
	var at string
	for name, into := range map[string]*string{"form": &req.Form, "entity": &req.Entity, "user": &req.User, "at": &at} {
		raw, ok := keys[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return &Refusal{Code: "bad_json", What: name + " is not a string", Which: name, Do: "write it in quotes"}
		}
	}
	if at != "" {
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return &Refusal{Code: "bad_time", What: "the time is not an RFC 3339 time", Which: "at", Do: "write it as 2025-09-18T09:12:00+08:00"}
		}
		req.At = t
	}
	req.Fields = keys["fields"]
	if req.Fields == nil {
		req.Fields = json.RawMessage("{}")
	}
	return nil
}

// jsonTrouble says what is wrong and where, without quoting the line: it may
// hold personal data, and this goes into logs.
func jsonTrouble(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("%v, at byte %d", e, e.Offset)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("found %s where an object must be", e.Value)
	}
	return err.Error()
}

// SplitAnswers is the other end of POST /api/v1/put: it copies the answers to
// out and refusals as PutLines would have written them. The error is the
// server's last line when it ended early (a *Refusal), or a broken connection.
func SplitAnswers(in io.Reader, out, refusals io.Writer) (savedCount, refusedCount int, err error) {
	lines := lineReader{r: bufio.NewReaderSize(in, 64<<10)}
	for {
		text, tooLong, err := lines.next()
		if errors.Is(err, io.EOF) {
			return savedCount, refusedCount, nil
		}
		if err != nil {
			return savedCount, refusedCount, fmt.Errorf("read answers: %w", err)
		}
		var a refused
		if err := json.Unmarshal(text, &a); tooLong || err != nil {
			return savedCount, refusedCount, fmt.Errorf("read answers: line %d is not an answer", lines.line)
		}
		to, n := out, &savedCount
		if a.Error != nil {
			if a.Line == 0 {
				return savedCount, refusedCount, a.Error
			}
			to, n = refusals, &refusedCount
		}
		*n++
		if _, err := to.Write(append(text, '\n')); err != nil {
			return savedCount, refusedCount, fmt.Errorf("copy answer: %w", err)
		}
	}
}
