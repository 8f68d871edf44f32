package enrol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"otor/internal/identity"
	"otor/internal/trust"
	"otor/internal/wire"
)

// Bounds of the conversation.
const (
	maxReply   = 256 << 10 // bytes
	maxTries   = 3
	retryPause = time.Second
)

// ask posts the request. It asks again, with the same keys, when the request
// had gone out and no answer came, or the hub had trouble of its own.
func ask(ctx context.Context, cfg Config, pin identity.Pin, base string, req wire.EnrolRequest) (wire.EnrolReply, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return wire.EnrolReply{}, fail(ErrHub, "internal", err.Error(), "", "report this", err)
	}
	client := &http.Client{
		Timeout: cfg.HTTPTimeout,
		Transport: &http.Transport{
			DialContext: cfg.Dialer.DialContext, TLSClientConfig: trust.ByPin(pin, nil),
			TLSHandshakeTimeout: cfg.HTTPTimeout, DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var everSent bool
	for try := 1; ; try++ {
		reply, sent, err := post(ctx, client, base, body)
		everSent = everSent || sent
		if err == nil {
			return reply, nil
		}
		if e, ok := errors.AsType[*Error](err); !ok || !sent || !e.again || try == maxTries || ctx.Err() != nil {
			return wire.EnrolReply{}, lostAnswer(err, everSent)
		}
		cfg.Log.Warn("enrolment: no answer, asking again", "hub", base, "try", try, "error", err)
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
		}
	}
}

// lostAnswer tells the person that the code may be gone.
func lostAnswer(err error, sent bool) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !sent || !e.again || !errors.Is(err, ErrUnreachable) {
		return err
	}
	e.Code = "answer_lost"
	e.What = "the request went out, but the hub's answer did not arrive, so the code may be spent"
	e.Do = "run the same command again within the hour: the hub then gives the same answer"
	return e
}

// post does one request. sent reports whether the hub may have seen it whole.
func post(ctx context.Context, client *http.Client, base string, body []byte) (reply wire.EnrolReply, sent bool, err error) {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(i httptrace.WroteRequestInfo) { wrote.Store(i.Err == nil) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+wire.EnrolPath, bytes.NewReader(body))
	if err != nil {
		return reply, false, fail(ErrUsage, "bad_address", err.Error(), base, "check the hub's address", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return reply, wrote.Load(), noAnswer(base, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if err != nil {
		return reply, true, noAnswer(base, err)
	}
	if len(b) > maxReply {
		return reply, false, fail(ErrHub, "bad_answer", fmt.Sprintf("the hub's answer has more than %d bytes", maxReply), base, "check the hub's address", nil)
	}
	if res.StatusCode != http.StatusOK {
		return reply, true, refusal(base, res.StatusCode, b)
	}
	if err := json.Unmarshal(b, &reply); err != nil {
		return reply, false, fail(ErrHub, "bad_answer", "the hub's answer is not understood", base, "update hub and agent to the same version", err)
	}
	return reply, true, nil
}

func noAnswer(base string, err error) *Error {
	if errors.Is(err, trust.ErrNotTheHub) {
		return fail(ErrCredential, "not_the_hub", "what answers at this address is not the hub that gave the code", base, "compare address and code with the hub's screen; if they are right, this network is not to be trusted: run the same command again over another one", err)
	}
	e := fail(ErrUnreachable, "unreachable", "the hub does not answer: "+err.Error(), base, "check the address and that this device has a network that reaches the hub; the code is not spent", err)
	e.again = true
	return e
}

// refusal reads the hub's no.
func refusal(base string, status int, body []byte) *Error {
	var p struct {
		Error wire.Refusal `json:"error"`
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Error.Code == "" {
		return fail(ErrHub, "bad_answer", fmt.Sprintf("the hub answers with HTTP %d and no reason", status), base, "check that the address is the hub's", err)
	}
	r := p.Error
	r.Code, r.What, r.Which, r.Do = clip(r.Code), clip(r.What), clip(r.Which), clip(r.Do)
	e := &Error{Kind: ErrCredential, Refusal: r, again: status >= 500}
	switch {
	case status >= 500, r.Code == "bad_request":
		e.Kind = ErrHub
	case status == http.StatusTooManyRequests:
		e.Kind = ErrUnreachable
	}
	return e
}
