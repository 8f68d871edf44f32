package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"otor/hub/console"
	"otor/hub/store"
	"otor/internal/dot"
	"otor/internal/runfile"
	"otor/internal/webui"
)

// Client asks the office of a hub that runs in another process.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// Dial returns a client of the hub that runs in dir. ok is false when none
// does, or when the one announced does not answer.
func Dial(ctx context.Context, dir string) (c *Client, ok bool, err error) {
	info, ok, err := runfile.Read(dir)
	if err != nil || !ok {
		return nil, false, err
	}
	token, err := runfile.Token(dir)
	if err != nil {
		return nil, false, err
	}
	c = &Client{base: "http://" + dialable(info.HTTP), token: token, http: &http.Client{}}
	probe, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := c.Devices(probe); err != nil {
		return nil, false, nil //nolint:nilerr // a stale announcement: nobody answers there
	}
	return c, true, nil
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

func (c *Client) do(ctx context.Context, method, path string, q url.Values, body any) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	return c.send(ctx, method, path, q, r)
}

// send sends a body as it is.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, r io.Reader) (*http.Response, error) {
	u := c.base + officePath + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, r)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set(asHeader, systemUser())
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the running hub: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var no struct {
		Error webui.Refusal `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&no); err != nil {
		return nil, fmt.Errorf("ask the running hub: it answered %s", resp.Status)
	}
	return nil, &no.Error
}

func ask[T any](ctx context.Context, c *Client, method, path string, q url.Values, body any) (T, error) {
	var v T
	resp, err := c.do(ctx, method, path, q, body)
	if err != nil {
		return v, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return v, fmt.Errorf("ask the running hub: %w", err)
	}
	return v, nil
}

// Invite does what [Office.Invite] does.
func (c *Client) Invite(ctx context.Context, d dot.Device, scopes []string, ttl time.Duration, again bool) (Invited, error) {
	return ask[Invited](ctx, c, http.MethodPost, "devices", nil, invitation{Device: string(d), Scopes: scopes, TTL: ttl.String(), Again: again})
}

// Revoke does what [Office.Revoke] does.
func (c *Client) Revoke(ctx context.Context, d dot.Device) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, "devices/"+url.PathEscape(string(d))+"/revoke", nil, nil)
	return err
}

// Devices does what [Office.Devices] does.
func (c *Client) Devices(ctx context.Context) ([]Enrolled, error) {
	return ask[[]Enrolled](ctx, c, http.MethodGet, "devices", nil, nil)
}

// Fleet does what [Office.Fleet] does.
func (c *Client) Fleet(ctx context.Context) (console.Fleet, error) {
	return ask[console.Fleet](ctx, c, http.MethodGet, "fleet", nil, nil)
}

// Gaps does what [Office.Gaps] does.
func (c *Client) Gaps(ctx context.Context, closed bool) ([]GapLine, error) {
	return ask[[]GapLine](ctx, c, http.MethodGet, "gaps", url.Values{"all": {strconv.FormatBool(closed)}}, nil)
}

// Unattributed does what [Office.Unattributed] does.
func (c *Client) Unattributed(ctx context.Context) ([]UnattributedLine, error) {
	return ask[[]UnattributedLine](ctx, c, http.MethodGet, "unattributed", nil, nil)
}

// Findings does what [Office.Findings] does.
func (c *Client) Findings(ctx context.Context, closed bool) ([]FindingLine, error) {
	return ask[[]FindingLine](ctx, c, http.MethodGet, "findings", url.Values{"all": {strconv.FormatBool(closed)}}, nil)
}

// Confirm does what [Office.Confirm] does.
func (c *Client) Confirm(ctx context.Context, devices []dot.Device) ([]dot.Device, error) {
	return ask[[]dot.Device](ctx, c, http.MethodPost, "confirm", nil, confirmation{devices})
}

// Entries does what [Office.Entries] does.
func (c *Client) Entries(ctx context.Context, q store.EntryQuery) iter.Seq2[EntryLine, error] {
	v := url.Values{"after": {strconv.FormatInt(q.After, 10)}, "limit": {strconv.Itoa(q.Limit)}}
	if q.Device != "" {
		v.Set("device", string(q.Device))
	}
	if q.Verdict != "" {
		v.Set("verdict", string(q.Verdict))
	}
	if q.Lane != 0 {
		v.Set("lane", q.Lane.String())
	}
	return askLines[EntryLine](ctx, c, "entries", v)
}

// askLines asks for what is answered with one JSON object a line.
func askLines[T any](ctx context.Context, c *Client, path string, q url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var line T
		resp, err := c.do(ctx, http.MethodGet, path, q, nil)
		if err != nil {
			yield(line, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		dec := json.NewDecoder(bufio.NewReader(resp.Body))
		for {
			var line T
			switch err := dec.Decode(&line); {
			case err == io.EOF: //nolint:errorlint // Decode returns it bare
				return
			case err != nil:
				yield(line, fmt.Errorf("list %s: %w", path, err))
				return
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}
