package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"otor/agent/web"
	"otor/internal/cli"
	"otor/internal/runfile"
)

// running is an agent that runs in another process, by its local API.
type running struct {
	base, token string
	http        *http.Client
	status      web.Status // as of the first question
}

// probeTimeout is how long an agent may take to say that it is there. Where
// none listens, the answer is immediate.
const probeTimeout = 5 * time.Second

// findRunning finds the agent that runs in the data folder. ok is false when
// none does: no announcement, a stale one, or somebody else at that address.
func findRunning(ctx context.Context, app *cli.App) (*running, bool) {
	info, ok, err := runfile.Read(app.Data)
	if err != nil {
		app.Log.Warn("the announcement of a running agent is not readable", "err", err)
	}
	if !ok || err != nil {
		return nil, false
	}
	token, err := runfile.Token(app.Data)
	if err != nil {
		return nil, false // opening the folder will say why
	}
	r := &running{base: "http://" + dialable(info.HTTP), token: token, http: &http.Client{}}
	probe, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if r.status, err = r.getStatus(probe); err != nil {
		app.Log.Debug("nobody answers where an agent was announced", "http", info.HTTP, "err", err)
		return nil, false
	}
	return r, true
}

// dialable turns an address that was listened on into one to connect to.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// do sends a request. Answers other than 200 become a *web.Refusal.
func (r *running) do(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Response, error) {
	u := r.base + "/api/v1/" + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	return r.send(req)
}

// send is do for a request that is made already.
func (r *running) send(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var no struct {
		Error web.Refusal `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&no); err != nil || no.Error.Code == "" {
		return nil, fmt.Errorf("the running agent answered %s", resp.Status)
	}
	return nil, &no.Error
}

func ask[T any](ctx context.Context, r *running, method, path string, q url.Values) (T, error) {
	var v T
	resp, err := r.do(ctx, method, path, q, nil)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return v, fmt.Errorf("read the running agent's answer: %w", err)
	}
	return v, nil
}

func (r *running) getStatus(ctx context.Context) (web.Status, error) {
	return ask[web.Status](ctx, r, http.MethodGet, "status", nil)
}

// logPage is a page of the log and where the next begins.
type logPage struct {
	Entries []web.EntryRow `json:"entries"`
	Next    string         `json:"next"`
}

func (r *running) log(ctx context.Context, lane, after string, limit int) (logPage, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if lane != "" {
		q.Set("lane", lane)
	}
	if after != "" {
		q.Set("after", after)
	}
	return ask[logPage](ctx, r, http.MethodGet, "log", q)
}

func (r *running) sync(ctx context.Context) (web.SyncResult, error) {
	return ask[web.SyncResult](ctx, r, http.MethodPost, "sync", nil)
}

// keep hands a file to the agent and returns its name.
func (r *running) keep(ctx context.Context, mime string, content io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/api/v1/files", content)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", mime)
	resp, err := r.send(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var said struct {
		Name string `json:"name"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
		return "", fmt.Errorf("read the running agent's answer: %w", err)
	}
	return said.Name, nil
}

// put streams lines to the agent and its answers back. What the agent itself
// could not do is a *web.Refusal; an agent that goes away in the middle is said so.
func (r *running) put(ctx context.Context, in io.Reader, out, refusals io.Writer, p web.PutRequest) (saved, refused int, err error) {
	q := url.Values{}
	for k, v := range map[string]string{"form": p.Form, "entity": p.Entity, "user": p.User} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if !p.At.IsZero() {
		q.Set("at", p.At.Format(time.RFC3339Nano))
	}
	input := &noted{r: in, err: make(chan error, 1)}
	resp, err := r.do(ctx, http.MethodPost, "put", q, input)
	if err == nil {
		saved, refused, err = web.SplitAnswers(resp.Body, out, refusals)
		_ = resp.Body.Close()
	}
	if _, ok := errors.AsType[*web.Refusal](err); ok || err == nil {
		return saved, refused, errors.Join(input.trouble(), err)
	}
	if broken := input.trouble(); broken != nil {
		return saved, refused, broken
	}
	if ctx.Err() != nil {
		return saved, refused, ctx.Err()
	}
	return saved, refused, stopped("put", err)
}

// noted remembers why reading ended, for the HTTP client tells only that the
// request broke off.
type noted struct {
	r   io.Reader
	err chan error // holds one
}

func (n *noted) Read(p []byte) (int, error) {
	c, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		select {
		case n.err <- fmt.Errorf("read the input: %w", err):
		default:
		}
	}
	return c, err
}

func (n *noted) trouble() error {
	select {
	case err := <-n.err:
		return err
	default:
		return nil
	}
}
